"""Carry out a script of faults at one simulated venue, over sockets and in memory alike.

`sim/pipe.py` asks for every message that passes, REST for every call; what befalls the venue itself
happens in `advance`. Chance comes from the script's seed: the same calls give the same faults.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from openmm._fast.matching import Tif
from openmm.events import SystemMode
from openmm.sim.core import ASK, BID, BUY, SELL, VenueCore
from openmm.sim.faults import PPM, FaultScript, Rule, parse_rule
from openmm.sim.market import SyntheticMarket
from openmm.venues.counterpart import Gateway, OrderRecord, RestSide

LEVELS_MAX = 1000

# REST calls that tell the venue's clock: a connector may read it from either.
CLOCK_CALLS: Final = frozenset({"Time", "SystemStatus"})


@dataclass(slots=True)
class _Armed:
    """A rule and where it stands."""

    rule: Rule
    rng: Random
    due_ns: int
    until_ns: int | None
    left: int | None
    burst_ns: int = 0  # strikes everything before this moment

    def strikes(self, now_ns: int) -> bool:
        """Whether it strikes the message of this moment."""
        rule = self.rule
        if now_ns < self.burst_ns:
            return True
        if now_ns < self.due_ns or self.left == 0:
            return False
        if self.until_ns is not None and now_ns >= self.until_ns:
            return False
        if rule.chance_ppm is not None and self.rng.randrange(PPM) >= rule.chance_ppm:
            return False
        if self.left is not None:
            self.left -= 1
        if rule.every_ns is not None:
            self.due_ns = now_ns + max(1, round(self.rng.expovariate(1 / rule.every_ns)))
        if rule.for_ns is not None and not rule.lasting:
            self.burst_ns = now_ns + rule.for_ns
        return True


@dataclass(frozen=True, slots=True)
class Answered:
    """What becomes of a REST call: the reply after a while, or none at all."""

    status: int
    body: bytes
    delay_ns: int = 0
    lost: bool = False


class Strikes:
    """The faults of one venue; `struck` counts them by kind and place."""

    def __init__(self, script: FaultScript, core: VenueCore, gateway: Gateway, now_ns: int) -> None:
        self.core = core
        self.gateway = gateway
        self.struck: Counter[str] = Counter()
        self.clock_offset_ns = 0
        self._seed = script.seed
        self._start_ns = now_ns
        self._number = 0
        self._by_kind: dict[str, list[_Armed]] = {}
        self._venue: list[_Armed] = []
        self._undo: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        self._off = False
        self.armed = False  # whether there ever was a rule
        for rule in script.rules:
            self.add(rule, now_ns)

    def add(self, rule: Rule, now_ns: int) -> None:
        """Let one more rule strike; its times count from the venue's start."""
        self.armed = True
        rng = Random(f"fault:{self._seed}:{self._number}")
        self._number += 1
        due_ns = self._start_ns + rule.at_ns
        if rule.every_ns is not None:
            due_ns += max(1, round(rng.expovariate(1 / rule.every_ns)))
        until_ns = None if rule.until_ns is None else self._start_ns + rule.until_ns
        armed = _Armed(rule, rng, max(due_ns, now_ns), until_ns, rule.count)
        if not rule.on:
            self._venue.append(armed)
        for kind in rule.on:
            self._by_kind.setdefault(kind, []).append(armed)

    def add_told(self, told: Mapping[str, str], now_ns: int) -> str:
        """Let a rule strike that a request tells, every value as text; it strikes once by default.

        Raises:
            ConfigError: a key or value is not right.
        """
        body: dict[str, object] = dict(told)
        for name, value in told.items():
            if name in ("count", "code") and value.isdecimal():
                body[name] = int(value)
            elif name == "seen" and value in ("true", "false"):
                body[name] = value == "true"
            elif name == "on" and "," in value:
                body[name] = value.split(",")
        rule = parse_rule(body)
        self.add(rule, now_ns)
        return rule.kind

    def end(self, now_ns: int) -> None:
        """Strike no more, and take back what still lasts."""
        self._off = True
        while self._undo:
            heapq.heappop(self._undo)[2](now_ns)

    # ---- messages

    def strike(self, kind: str, now_ns: int) -> Rule | None:
        """Return the rule that strikes a message of a kind, if any."""
        if self._off:
            return None
        for armed in self._by_kind.get(kind, ()):
            if armed.strikes(now_ns):
                self.struck[f"{armed.rule.kind} {kind}"] += 1
                return armed.rule
        return None

    def fill(self, order: OrderRecord, share_ppm: int, now_ns: int) -> bool:
        """Let the market take a share of an order's rest; False where the market cannot."""
        core, name = self.core, order.instrument
        if order.price_ticks is None or core.mode is not SystemMode.ONLINE:
            return False
        if name not in core.made_here:
            return False
        side, taker = (BID, SELL) if order.side == BUY else (ASK, BUY)
        ahead = sum(
            lots
            for price_ticks, lots in core.depth(name, side, LEVELS_MAX)
            if (price_ticks > order.price_ticks) == (order.side == BUY)
            and price_ticks != order.price_ticks
        )
        rest = order.qty_lots - order.filled_lots
        # All that stands at its price may stand before it.
        level = core.qty_at(name, side, order.price_ticks) - rest
        lots = ahead + max(0, level) + max(1, rest * share_ppm // PPM)
        core.market_submit(name, taker, order.price_ticks, lots, Tif.IOC, now_ns)
        return True

    # ---- REST

    def rest(
        self, rest: RestSide, method: str, target: str, headers: Mapping[str, str], body: bytes,
        now_ns: int,
    ) -> Answered:  # fmt: skip
        """Answer a REST call, or fail to."""
        name = self.gateway.faults.kind_of_call(method, target)
        rule = self.strike(f"rest.{name}", now_ns) if name else None
        if rule is not None and not rule.after and rule.kind in ("status", "refused", "timeout"):
            return self._failed(rule)
        told_ns = now_ns + self.clock_offset_ns if name in CLOCK_CALLS else now_ns
        status, reply = rest.answer(method, target, headers, body, told_ns)
        if rule is None:
            return Answered(status, reply)
        if rule.kind == "lie":
            return Answered(status, self.gateway.faults.lying_reply(reply, rule.amount))
        if rule.kind == "late":
            return Answered(status, reply, rule.by_ns)
        return self._failed(rule)

    def _failed(self, rule: Rule) -> Answered:
        if rule.kind == "timeout":
            return Answered(0, b"", rule.by_ns, lost=True)
        if rule.kind == "refused":
            return Answered(*self.gateway.faults.rest_refusal(rule.text))
        return Answered(rule.code, b"<html>the gateway is not well</html>")

    # ---- the venue itself

    def next_ns(self) -> int | None:
        """Return when something befalls the venue next."""
        if self._off:
            return None
        due = [one.due_ns for one in self._venue if one.left != 0]
        if self._undo:
            due.append(self._undo[0][0])
        return min(due, default=None)

    def advance(self, now_ns: int) -> None:
        """Let everything befall the venue that is due."""
        while (due_ns := self.next_ns()) is not None and due_ns <= now_ns:
            self.core.advance(due_ns)
            while self._undo and self._undo[0][0] <= due_ns:
                heapq.heappop(self._undo)[2](due_ns)
            for armed in self._venue:
                if armed.left != 0 and armed.due_ns <= due_ns:
                    if armed.strikes(due_ns):
                        self.struck[armed.rule.kind] += 1
                        self._befall(armed.rule, due_ns)
                    else:
                        armed.left = 0  # its time is over

    def _befall(self, rule: Rule, now_ns: int) -> None:
        end_ns = now_ns + (rule.for_ns or 0)
        match rule.kind:
            case "mode":
                if self.core.mode is SystemMode.ONLINE:
                    self.core.set_mode(rule.mode, now_ns)
                    self._later(end_ns, lambda at: self.core.set_mode(SystemMode.ONLINE, at))
            case "spike":
                up = rule.share_ppm / PPM
                self._shock(up)
                self._later(end_ns, lambda _at: self._shock(1 / (1 + up) - 1))
            case "clock":
                self.clock_offset_ns += rule.offset_ns
                self._later(end_ns, lambda _at: self._turn_back(rule.offset_ns))
            case "tokens":
                self.gateway.expire_tokens()

    def _later(self, at_ns: int, act: Callable[[int], None]) -> None:
        heapq.heappush(self._undo, (at_ns, next(self._order), act))

    def _shock(self, share: float) -> None:
        for driver in self.core.drivers:
            if isinstance(driver, SyntheticMarket):
                driver.shock(share)

    def _turn_back(self, offset_ns: int) -> None:
        self.clock_offset_ns -= offset_ns


def rest_answer(
    strikes: Strikes | None, rest: RestSide, method: str, target: str,
    headers: Mapping[str, str], body: bytes, now_ns: int,
) -> Answered:  # fmt: skip
    """Answer a REST call of a venue with faults, or without."""
    if strikes is None:
        return Answered(*rest.answer(method, target, headers, body, now_ns))
    return strikes.rest(rest, method, target, headers, body, now_ns)
