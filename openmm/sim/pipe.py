"""The simulated venue's end of a connection: bytes in, bytes out, each after its delay, or not.

No socket, no clock: the caller says what time it is. A seed reproduces every run exactly. Sockets
(`sim/server.py`), a venue in this process and paper trading all go through here.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from openmm.sim.faults import Rule
from openmm.sim.strikes import Strikes
from openmm.venues.counterpart import Authorised, Gateway, OrderRecord

FOREVER_NS = 1 << 62
# Tells when a message that is sent at a moment arrives; None: draw it.
Told: TypeAlias = Callable[[bytes, int], int | None]


@dataclass(frozen=True, slots=True)
class Delays:
    """Who tells the delay of each message of a venue in this process, where it is known.

    Args:
        inward: of frames to the venue over the private connection.
        outward: of frames of the private connection.
        requests: of requests over REST, as `PaperVenue.on_order` takes them.
        replies: of the replies to them; is given the request.
    """

    inward: Told | None = None
    outward: Told | None = None
    requests: Told | None = None
    replies: Told | None = None


def _due(row: tuple[int, bytes]) -> int:
    return row[0]


class DelayLine:
    """Delay messages by a constant and an exponential part, never overtaking one another.

    Args:
        told: knows when single messages arrive, those of a session of the past, whatever is on its
            way before them; the others' delays are drawn.
    """

    def __init__(
        self, seed: str, latency_ns: int, jitter_ns: int, told: Told | None = None
    ) -> None:
        self._rng = Random(seed)
        self._latency_ns = latency_ns
        self._jitter_ns = jitter_ns
        self._told = told
        self._last_ns = 0

    def due_ns(self, now_ns: int, frame: bytes = b"") -> int:
        """Say, or draw, when a message sent now arrives."""
        told_ns = None if self._told is None else self._told(frame, now_ns)
        if told_ns is not None:
            told_ns = max(now_ns, told_ns)
            self._last_ns = max(self._last_ns, told_ns)
            return told_ns
        span_ns = self._latency_ns
        if self._jitter_ns:
            span_ns += round(self._rng.expovariate(1 / self._jitter_ns))
        self._last_ns = max(self._last_ns, now_ns + span_ns)
        return self._last_ns

    def stall(self, until_ns: int) -> None:
        """Let nothing arrive before a moment."""
        self._last_ns = max(self._last_ns, until_ns)


class Pipe:
    """Join a dialect session to a client: bytes in, bytes out, each after its delay.

    Args:
        strikes: the faults of the venue; they strike here what passes.
        query: of the address that the client opened.
        delays: of single messages, where they are known.
    """

    def __init__(
        self,
        gateway: Gateway,
        private: bool,
        now_ns: int,
        latency_ns: int = 0,
        jitter_ns: int = 0,
        seed: int | str = 0,
        strikes: Strikes | None = None,
        query: str = "",
        delays: Delays | None = None,
    ) -> None:
        self.gateway = gateway
        self.session = gateway.connect(now_ns, private)
        if query and isinstance(self.session, Authorised):
            self.session.authorise(query, now_ns)
        self._core = gateway.core
        self._words = gateway.faults
        self.fallen = False  # the venue's side has ended the connection
        self._strikes = strikes
        told = delays or Delays()
        self._inward = DelayLine(f"in:{seed}", latency_ns, jitter_ns, told.inward)
        self._outward = DelayLine(f"out:{seed}", latency_ns, jitter_ns, told.outward)
        self._going: deque[tuple[int, bytes]] = deque()
        self._coming: deque[tuple[int, bytes]] = deque()
        self._deaf_ns = 0  # nothing passes either way before this
        # Messages of the venue that it sends only later: (when, order, frame, number as made).
        self._held: list[tuple[int, int, bytes, int]] = []
        self._order = itertools.count()
        self._sent: dict[str, int] = {}  # sequence numbers told, by channel
        self._late: bytes | None = None  # a request that was struck already
        self._fill_late_ns = 0
        self._leave(self.session.poll(now_ns), now_ns)

    def send(self, frame: bytes, now_ns: int) -> None:
        """Send a client frame; it reaches the venue after its delay."""
        insort(self._going, (self._inward.due_ns(now_ns, frame), frame), key=_due)

    def next_ns(self, now_ns: int) -> int | None:
        """Return when a message on its way arrives at either end, None for none.

        What the venue does by itself comes on top (`core.next_ns`).
        """
        due = [line[0][0] for line in (self._going, self._coming) if line]
        if self._held:
            due.append(self._held[0][0])
        if not due:
            return None
        return max(min(due), self._deaf_ns if self._deaf_ns > now_ns else 0)

    def is_deaf(self, now_ns: int) -> bool:
        """Whether the connection is half open: up, but nothing passes."""
        return now_ns < self._deaf_ns

    def step(self, now_ns: int) -> None:
        """Let time pass to `now_ns` at the venue: what has reached it by then is carried out."""
        while self._going and self._going[0][0] <= now_ns and not self.fallen:
            due_ns, frame = self._going[0]
            self._pass(due_ns)
            if self.is_deaf(now_ns):
                break
            self._going.popleft()
            # Another connection may have let the venue live beyond it: then it comes late.
            at_ns = max(due_ns, self._core.now_ns)
            if self._strikes is None:
                self._leave(self.session.on_client_frame(frame, at_ns), at_ns)
            else:
                self._arrive(frame, at_ns)
        self._pass(now_ns)

    def receive(self, now_ns: int) -> list[bytes]:
        """Let time pass to `now_ns`; return what has reached the client by then, in order."""
        self.step(now_ns)
        arrived: list[bytes] = []
        if self.is_deaf(now_ns):
            return arrived
        while self._coming and self._coming[0][0] <= now_ns:
            arrived.append(self._coming.popleft()[1])
        return arrived

    def _pass(self, now_ns: int) -> None:
        """Let the venue move to a time; what it sends leaves when it is made."""
        core, strikes = self._core, self._strikes
        while (due_ns := core.next_ns()) is not None and due_ns <= now_ns:
            if strikes is not None:
                strikes.advance(due_ns)
            core.advance(due_ns)
            self._leave(self.session.poll(due_ns), due_ns)
        if strikes is not None:
            strikes.advance(now_ns)
        core.advance(now_ns)
        self._leave(self.session.poll(now_ns), now_ns)
        while self._held and self._held[0][0] <= now_ns:
            due_ns, _, frame, sequence = heapq.heappop(self._held)
            self._depart(frame, due_ns, sequence)

    def _leave(self, frames: list[bytes], now_ns: int) -> None:
        if self._strikes is None or not self._strikes.armed:
            for frame in frames:
                insort(self._coming, (self._outward.due_ns(now_ns, frame), frame), key=_due)
            return
        for frame in frames:
            self._say(self._strikes, frame, now_ns)

    def close(self) -> None:
        """End the session; what is on its way is lost."""
        self.fallen = True
        self._going.clear()
        self._coming.clear()
        self._held.clear()
        if self.session in self.gateway.sessions:
            self.gateway.drop(self.session)

    # ---- faults

    def _say(self, strikes: Strikes, frame: bytes, now_ns: int) -> None:
        """Send a message of the venue, unless a fault strikes it."""
        if self.fallen:
            return
        kind = self._words.kind_of_message(frame)
        rule = strikes.strike(kind, now_ns)
        if rule is None:
            late_ns = self._fill_late_ns if self._words.is_fill(frame) else 0
            if late_ns:
                self._hold(frame, now_ns + late_ns, 0)
            else:
                self._depart(frame, now_ns)
            return
        match rule.kind:
            case "late":
                self._outward.stall(now_ns + rule.by_ns)
                self._depart(frame, now_ns)
            case "lost":
                if rule.seen:
                    self._number(kind, frame)
            case "doubled":
                sequence = self._number(kind, frame)
                self._depart(frame, now_ns, sequence)
                self._depart(frame, now_ns, sequence if rule.seen else 0)
            case "reordered":
                sequence = self._number(kind, frame) if rule.seen else 0
                self._hold(frame, now_ns + rule.by_ns, sequence)
            case "garbled":
                self._depart(self._words.garbled(self._numbered(kind, frame)), now_ns, -1)
            case "checksum":
                self._depart(self._words.wrong_checksum(frame), now_ns)
            case "lie":
                self._depart(self._words.lying(frame, rule.amount), now_ns)
            case "closed":
                self.close()
            case "half_open":
                self._go_deaf(rule, now_ns)
                self._depart(frame, now_ns)

    def _hold(self, frame: bytes, until_ns: int, sequence: int) -> None:
        heapq.heappush(self._held, (until_ns, next(self._order), frame, sequence))

    def _depart(self, frame: bytes, now_ns: int, sequence: int = 0) -> None:
        """Put a message on the wire; the venue numbers it now unless it has a number (-1: none)."""
        if sequence >= 0:
            frame = self._numbered(self._words.kind_of_message(frame), frame, sequence)
        insort(self._coming, (self._outward.due_ns(now_ns, frame), frame), key=_due)

    def _numbered(self, kind: str, frame: bytes, sequence: int = 0) -> bytes:
        sequence = sequence or self._number(kind, frame)
        return self._words.numbered(frame, sequence) if sequence else frame

    def _number(self, kind: str, frame: bytes) -> int:
        """Take the next sequence number of a channel, 0 if its messages have none."""
        if kind not in self._words.NUMBERED:
            return 0
        made = self._words.number_of(frame)
        if made:
            self._sent[kind] = made = self._sent.get(kind, made - 1) + 1
        return made

    def _go_deaf(self, rule: Rule, now_ns: int) -> None:
        self._deaf_ns = max(self._deaf_ns, now_ns + (rule.for_ns or FOREVER_NS - now_ns))

    def _arrive(self, frame: bytes, now_ns: int) -> None:
        """Carry out a request, unless a fault strikes it."""
        strikes = self._strikes
        assert strikes is not None
        again, self._late = frame is self._late, None
        kind = self._words.kind_of_request(frame)
        rule = None if again else strikes.strike(kind, now_ns)
        if rule is None:
            self._carry_out(frame, now_ns)
            return
        match rule.kind:
            case "late":
                # Everything behind it waits too.
                later_ns = now_ns + rule.by_ns
                self._inward.stall(later_ns)
                self._going = deque((max(at, later_ns), one) for at, one in self._going)
                self._going.appendleft((later_ns, frame))
                self._late = frame
            case "lost":
                pass
            case "doubled":
                self._carry_out(frame, now_ns)
                self._carry_out(frame, now_ns)
            case "closed":
                if rule.after:
                    self.session.on_client_frame(frame, now_ns)
                self.close()
            case "half_open":
                self._go_deaf(rule, now_ns)
                self._going.appendleft((now_ns, frame))
                self._late = frame
            case "refused":
                self._refuse(frame, rule, now_ns)
            case "forget":
                self._carry_out(frame, now_ns)
                for order in self._named(frame)[:1]:
                    strikes.core.forget(order)
            case "fill":
                self._fill(strikes, frame, rule, now_ns)

    def _carry_out(self, frame: bytes, now_ns: int) -> None:
        self._leave(self.session.on_client_frame(frame, now_ns), now_ns)

    def _refuse(self, frame: bytes, rule: Rule, now_ns: int) -> None:
        """Answer with an error, whether the venue has acted or not."""
        if rule.after:
            replies = self.session.on_client_frame(frame, now_ns)
            told = [one for one in replies if self._words.kind_of_message(one)[:4] != "ack."]
            self._leave(told, now_ns)
        self._leave([self._words.refusal(frame, rule.text, now_ns)], now_ns)

    def _named(self, frame: bytes) -> list[OrderRecord]:
        account = self.session.account
        if account is None:
            return []
        return self._words.orders_named(self._core, account, frame)

    def _fill(self, strikes: Strikes, frame: bytes, rule: Rule, now_ns: int) -> None:
        """Let the market take part of an order at the moment its cancel or amend arrives."""
        for order in self._named(frame)[:1]:
            # Its report leaves late: after the answer to the request, even after its end.
            self._fill_late_ns = rule.by_ns
            strikes.fill(order, rule.share_ppm, now_ns)
            self._leave(self.session.poll(now_ns), now_ns)
            self._fill_late_ns = 0
        self._carry_out(frame, now_ns)
