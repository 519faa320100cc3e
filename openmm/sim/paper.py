"""Trade on paper: a real public feed in, our orders matched in process by the queue model."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import final

from openmm._fast.ports import Decoded
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.sim.dialects import PAPER_TIER, Dialect
from openmm.sim.mirror import MirroredFeed
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from openmm.sim.pipe import DelayLine, Delays, Pipe


@final
class PaperVenue:
    """Pretend a venue's private side beside its real public feed.

    The public frames are the venue's own (book and trade channels); they reach the engine by
    their own way and this object only listens to them. Everything private is the simulated
    venue's, over the same wire protocol: frames of the private connection, and where orders are
    placed over REST their requests. There is no socket in here: an order cannot leave.

    Args:
        speaks: the venue's dialect.
        feed: makes the book our orders rest in of the public frames.
        fees_ppm: maker and taker fee.
        balances: what the paper account opens with.
        seed: makes the ids.
        latency_ns: one way, of the private connection and of orders.
        jitter_ns: mean of the exponential part on top, seeded.
        delays: of single messages, where they are known.
    """

    def __init__(
        self,
        speaks: Dialect,
        feed: MirroredFeed,
        pair: Instrument,
        fees_ppm: tuple[int, int],
        balances: Mapping[str, Decimal],
        seed: int,
        tier: str = PAPER_TIER,
        latency_ns: int = 0,
        jitter_ns: int = 0,
        delays: Delays | None = None,
    ) -> None:
        self._link = (latency_ns, jitter_ns, seed)
        self._delays = delays or Delays()
        self.core = VenueCore(
            [pair], seed, [pair.name], speaks.post_only_accepted, speaks.fee_in_received
        )
        self.api_key, self.api_secret, self.passphrase = DEMO_KEY, DEMO_SECRET, speaks.passphrase
        self.account = self.core.open_account(
            DEMO_KEY, speaks.secret(DEMO_SECRET), balances, speaks.tiers[tier], *fees_ppm
        )
        self.gateway, self._rest = speaks.make(self.core, seed, False)
        self._feed = feed
        self._pipe = Pipe(self.gateway, True, 0, *self._link, delays=self._delays)
        # Orders over REST: (when it arrives, request, headers), (when it arrives, id and reply).
        self._inward = DelayLine(f"orders in:{seed}", latency_ns, jitter_ns, self._delays.requests)
        self._outward = DelayLine(f"orders out:{seed}", latency_ns, jitter_ns, self._delays.replies)
        self._asked: deque[tuple[int, bytes, Mapping[str, str]]] = deque()
        self._answers: deque[tuple[int, int, int, bytes]] = deque()
        self._polled_fills = 0

    @property
    def bad_frame_count(self) -> int:
        """How many public messages broke the recorded book."""
        return self._feed.broken_count

    # ---- the public feed

    def on_public_frame(self, frame: bytes, now_ns: int) -> Decoded:
        """Let a public message move the market our orders rest in.

        A book that is not verified is empty until it is: nothing fills meanwhile.
        """
        if self.is_due(now_ns):
            self._step(now_ns)
        else:
            self.core.advance(now_ns)
        return self._feed.apply(self.core, frame, now_ns)

    def on_public_lost(self) -> None:
        """Take note that the public connection is gone: nothing fills until it is back."""
        self._feed.lose(self.core)

    # ---- the private side

    def on_client_frame(self, frame: bytes, now_ns: int) -> None:
        """Take a request of the private connection; its replies come with `poll`."""
        self._pipe.send(frame, now_ns)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return private messages that have arrived, timers and heartbeats included."""
        self._step(now_ns)
        self._polled_fills = self._fill_count()
        return self._pipe.receive(now_ns)

    def is_due(self, now_ns: int) -> bool:
        """Whether a poll now does what one later could not: something arrives, or was filled.

        Heartbeats aside: whoever asks here polls from time to time as well.
        """
        due_ns = self._pipe.next_ns(now_ns)
        return (
            (due_ns is not None and due_ns <= now_ns)
            or (bool(self._asked) and self._asked[0][0] <= now_ns)
            or (bool(self._answers) and self._answers[0][0] <= now_ns)
            or self._polled_fills != self._fill_count()
        )

    def live_until(self, now_ns: int) -> None:
        """Carry out what has reached the venue by now; what it says leaves when it was made."""
        self._step(now_ns)

    def next_ns(self, now_ns: int) -> int | None:
        """Return when a message arrives next at either end, or the venue acts; None: never."""
        due = [line[0][0] for line in (self._asked, self._answers) if line]
        due += [one for one in (self._pipe.next_ns(now_ns), self.core.next_ns()) if one is not None]
        return min(due, default=None)

    def on_order(self, request: bytes, headers: Mapping[str, str], now_ns: int) -> None:
        """Take an order over REST, `ID VERB /path?query`; its reply comes with `replies`."""
        due_ns = self._inward.due_ns(now_ns, request)
        insort(self._asked, (due_ns, request, headers), key=itemgetter(0))

    def replies(self, now_ns: int, write: Callable[[int, int, bytes], bytes]) -> list[bytes]:
        """Return replies to orders that have arrived, as `write` makes frames of them."""
        self._step(now_ns)
        arrived = []
        while self._answers and self._answers[0][0] <= now_ns:
            _, req_id, status, body = self._answers.popleft()
            arrived.append(write(req_id, status, body))
        return arrived

    def connect(self, now_ns: int, query: str = "") -> None:
        """Start a new private connection; messages of the old one are lost.

        Args:
            query: of the address: a credential, where one stands in it.
        """
        self._pipe.close()
        self._pipe = Pipe(self.gateway, True, now_ns, *self._link, query=query, delays=self._delays)

    def forget_calls(self) -> None:
        """Count no request made so far against the venue's limit of them, where it has one."""
        self._rest.forget_calls()

    def rest(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> tuple[int, bytes]:
        """Answer a REST request: HTTP status and JSON."""
        self._step(now_ns)
        return self._rest.answer(method, path, headers, body, now_ns)

    def statement(self) -> dict[str, object]:
        """Return the paper account's own account of what happened."""
        return self.core.statement(self.account)

    def _fill_count(self) -> int:
        return len(self.core.fills(self.account))

    def _step(self, now_ns: int) -> None:
        """Carry out what has arrived by now."""
        while self._asked and self._asked[0][0] <= now_ns:
            due_ns, request, headers = self._asked.popleft()
            self._pipe.step(due_ns)
            number, verb, target = request.decode("ascii").split(" ", 2)
            status, body = self._rest.answer(verb, target, headers, b"", due_ns)
            at_ns = self._outward.due_ns(due_ns, request)
            insort(self._answers, (at_ns, int(number), status, body), key=itemgetter(0))
        self._pipe.step(now_ns)
