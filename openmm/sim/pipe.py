"""The simulated venue in memory: a byte pipe on a virtual clock, and paper trading over it.

No socket, no clock: the caller says what time it is. A seed reproduces every run exactly.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from random import Random

from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.sim.accounts import TIERS
from openmm.sim.core import VenueCore
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from openmm.sim.replay import RecordedFeed
from openmm.venues.kraken.dialect import KrakenGateway
from openmm.venues.kraken.dialect_rest import KrakenRest


class DelayLine:
    """Delay messages by a constant and an exponential part, never overtaking one another."""

    def __init__(self, seed: str, latency_ns: int, jitter_ns: int) -> None:
        self._rng = Random(seed)
        self._latency_ns = latency_ns
        self._jitter_ns = jitter_ns
        self._last_ns = 0

    def due_ns(self, now_ns: int) -> int:
        """Draw when a message sent now arrives."""
        span_ns = self._latency_ns
        if self._jitter_ns:
            span_ns += round(self._rng.expovariate(1 / self._jitter_ns))
        self._last_ns = max(self._last_ns, now_ns + span_ns)
        return self._last_ns


class Pipe:
    """Join a dialect session to a client: bytes in, bytes out, each after its delay."""

    def __init__(
        self,
        gateway: KrakenGateway,
        private: bool,
        now_ns: int,
        latency_ns: int = 0,
        jitter_ns: int = 0,
        seed: int = 0,
    ) -> None:
        self.gateway = gateway
        self.session = gateway.connect(now_ns, private)
        self._inward = DelayLine(f"in:{seed}", latency_ns, jitter_ns)
        self._outward = DelayLine(f"out:{seed}", latency_ns, jitter_ns)
        self._going: deque[tuple[int, bytes]] = deque()
        self._coming: deque[tuple[int, bytes]] = deque()
        self._leave(self.session.poll(now_ns), now_ns)

    def send(self, frame: bytes, now_ns: int) -> None:
        """Send a client frame; it reaches the venue after its delay."""
        self._going.append((self._inward.due_ns(now_ns), frame))

    def step(self, now_ns: int) -> None:
        """Let time pass to `now_ns` at the venue: what has reached it by then is carried out."""
        while self._going and self._going[0][0] <= now_ns:
            due_ns, frame = self._going.popleft()
            self._pass(due_ns)
            self._leave(self.session.on_client_frame(frame, due_ns), due_ns)
        self._pass(now_ns)

    def receive(self, now_ns: int) -> list[bytes]:
        """Let time pass to `now_ns`; return what has reached the client by then, in order."""
        self.step(now_ns)
        arrived = []
        while self._coming and self._coming[0][0] <= now_ns:
            arrived.append(self._coming.popleft()[1])
        return arrived

    def _pass(self, now_ns: int) -> None:
        """Let the venue move to a time; what it sends leaves when it is made."""
        core = self.session.core
        while (due_ns := core.next_ns()) is not None and due_ns <= now_ns:
            core.advance(due_ns)
            self._leave(self.session.poll(due_ns), due_ns)
        core.advance(now_ns)
        self._leave(self.session.poll(now_ns), now_ns)

    def _leave(self, frames: list[bytes], now_ns: int) -> None:
        self._coming.extend((self._outward.due_ns(now_ns), frame) for frame in frames)

    def close(self) -> None:
        """End the session; what is on its way is lost."""
        self.gateway.drop(self.session)


class PaperVenue:
    """Trade on paper: a real public feed in, our orders matched in process by the queue model.

    The public frames are the venue's own (book and trade channels); they reach the engine by
    their own way and this object only listens to them. Everything private is the simulated
    venue's, over the same wire protocol. There is no socket in here: an order cannot leave.

    Args:
        instrument: the pair that is quoted.
        fees_ppm: maker and taker fee.
        balances: what the paper account opens with.
        seed: makes the ids.
        depth: the depth the public book is subscribed at.
        latency_ns: one way, of the private connection.
        jitter_ns: mean of the exponential part on top, seeded.
    """

    def __init__(
        self,
        instrument: Instrument,
        fees_ppm: tuple[int, int],
        balances: Mapping[str, Decimal],
        seed: int,
        depth: int = 10,
        tier: str = "pro",
        latency_ns: int = 0,
        jitter_ns: int = 0,
    ) -> None:
        self._link = (latency_ns, jitter_ns, seed)
        self.core = VenueCore([instrument], seed, recorded=[instrument.name])
        self.account = self.core.open_account(
            DEMO_KEY, base64.b64decode(DEMO_SECRET), balances, TIERS[tier], *fees_ppm
        )
        self.gateway = KrakenGateway(self.core, seed)
        self._rest = KrakenRest(self.gateway)
        self._feed = RecordedFeed(instrument, depth, printed=False)
        self._lost = True  # until a snapshot: what the market looks like is not known
        self.bad_frame_count = 0
        self._pipe = Pipe(self.gateway, True, 0, *self._link)

    api_key = DEMO_KEY
    api_secret = DEMO_SECRET

    def on_public_frame(self, frame: bytes, now_ns: int) -> None:
        """Let a public message move the market our orders rest in.

        A book message that does not fit empties the recorded book until the next snapshot:
        nothing fills meanwhile. `bad_frame_count` counts them.
        """
        self._pipe.step(now_ns)
        if self._lost and b'"snapshot"' not in frame:
            return
        try:
            if self._feed.apply(self.core, frame, now_ns) == "book":
                self._lost = False
        except ProtocolError:
            self.bad_frame_count += 1
            self._lost = True
            self.core.recording(self._feed.pair.name).clear()

    def on_client_frame(self, frame: bytes, now_ns: int) -> None:
        """Take a request of the private connection; its replies come with `poll`."""
        self._pipe.send(frame, now_ns)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return private messages that have arrived, timers and heartbeats included."""
        return self._pipe.receive(now_ns)

    def reconnect(self, now_ns: int) -> None:
        """Start a new private connection; messages of the old one are lost."""
        self._pipe.close()
        self._pipe = Pipe(self.gateway, True, now_ns, *self._link)

    def rest(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> tuple[int, bytes]:
        """Answer a REST request: HTTP status and JSON."""
        self._pipe.step(now_ns)
        return self._rest.answer(method, path, headers, body, now_ns)

    def statement(self) -> dict[str, object]:
        """Return the paper account's own account of what happened."""
        return self.core.statement(self.account)
