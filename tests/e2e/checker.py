"""Check a session from its journal alone, in plain Python: ladders, intents, limits, money.

`check` replays the records in order, keeps its own book, order list and holdings in exact integers
and fractions, and says what does not follow. It shares no arithmetic with the engine: ladders come
from `tests.oracles.quotes`, limits from the configuration that the first record holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any, NamedTuple

from openmm._fast.book import BookState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm.engine.context import SOURCE_PRIVATE
from openmm.instrument import Instrument
from openmm.journal import (
    EndRecord,
    FillRecord,
    IntentRecord,
    JournalRecord,
    LadderRecord,
    TransitionRecord,
    read_payload,
)
from tests.oracles import quotes

BUY, SELL = 1, 2
PPM = 1_000_000
LOTS_MAX = 1 << 52
LANE_FIRST = 222  # levels from here on are no ladder's
GONE = (
    OrderEvent.EV_REJECTED,
    OrderEvent.EV_CANCELLED,
    OrderEvent.EV_EXPIRED,
    OrderEvent.EV_PROVEN_GONE,
)


# States of which a query tells price and quantity; filled: an amend's, which had gone unanswered.
TOLD = (
    OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL, OrderState.FILLED,
)  # fmt: skip


def whole(value: Decimal, step: Decimal, rounding: str) -> int:
    """Count steps in a value."""
    return int((value / step).to_integral_value(rounding))


@dataclass
class Order:
    """An order as the records tell it; `pending` is an amend without answer."""

    side: int
    price: int
    qty: int
    filled: int = 0
    pending: tuple[int, int] | None = None
    live: bool = True
    lane: bool = False  # beside the ladder: by hand, or to flatten
    # Prices it stood at, and when we learned that it no longer did.
    past: tuple[tuple[int, int], ...] = ()

    @property
    def prices(self) -> list[int]:
        """Every price at which it may stand."""
        return [self.price, *([self.pending[0]] if self.pending else [])]

    @property
    def total(self) -> int:
        """The largest quantity it may have."""
        return max(self.qty, self.pending[1]) if self.pending else self.qty

    @property
    def rest(self) -> int:
        """What may still fill."""
        return max(self.total - self.filled, 0)

    @property
    def notional(self) -> int:
        """Its worth at worst."""
        return self.rest * max(self.prices)

    def stood_at(self, ts_ns: int) -> list[int]:
        """Every price at which it may have stood at a moment, if its report comes late."""
        return [*self.prices, *(price for price, until_ns in self.past if ts_ns <= until_ns)]

    def change(self, price: int, qty: int, now_ns: int) -> None:
        """Take the answer to an amend."""
        if price != self.price:
            self.past = (*self.past, (self.price, now_ns))
        self.price, self.qty, self.pending = price, qty, None
        self.settle()

    def settle(self) -> None:
        """End it when nothing is left."""
        if not self.rest:
            self.live = False


Levels = list[tuple[Decimal, Decimal]]


class News(NamedTuple):
    """What one message says of a book; `number`: of its last change, 0 where there is none."""

    snapshot: bool
    number: int
    bids: Levels
    asks: Levels


def _pairs(rows: list[list[str]]) -> Levels:
    return [(Decimal(row[0]), Decimal(row[1])) for row in rows]


def _kraken(message: dict[str, Any]) -> list[News]:
    if message.get("channel") != "book":
        return []
    sides = [
        [[(one["price"], one["qty"]) for one in data.get(side, ())] for side in ("bids", "asks")]
        for data in message["data"]
    ]
    return [News(message["type"] == "snapshot", 0, bids, asks) for bids, asks in sides]


def _gateio(message: dict[str, Any]) -> list[News]:
    if message.get("channel") != "spot.obu" or message.get("event") != "update":
        return []
    told = message["result"]
    full, number = bool(told.get("full")), int(told["u"])
    return [News(full, number, _pairs(told.get("b", [])), _pairs(told.get("a", [])))]


def _bitget(message: dict[str, Any]) -> list[News]:
    if "action" not in message or not message["arg"]["channel"].startswith("books"):
        return []
    first = message["action"] == "snapshot"
    return [
        News(first, int(one["seq"]), _pairs(one["bids"]), _pairs(one["asks"]))
        for one in message["data"]
    ]


# MEXC's messages are no JSON, and its book starts from a REST copy: it is not read again here.
READERS = {"kraken": _kraken, "gateio": _gateio, "bitget": _bitget}


@dataclass
class Wire:
    """The venue's book rebuilt from its frames."""

    read: Callable[[dict[str, Any]], list[News]]
    depth: int
    sides: dict[str, dict[Decimal, Decimal]] = field(
        default_factory=lambda: {"bids": {}, "asks": {}}
    )
    number: int = 0

    def frame(self, payload: bytes) -> None:
        """Apply a frame if it is a book's and reads."""
        try:
            message = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        for news in self.read(message):
            if news.snapshot:
                self.sides = {"bids": {}, "asks": {}}
            elif news.number and news.number <= self.number:
                continue  # it came late
            self.number = news.number
            for name, rows in (("bids", news.bids), ("asks", news.asks)):
                levels = self.sides[name]
                for price, qty in rows:
                    if qty:
                        levels[price] = qty
                    else:
                        levels.pop(price, None)
                keep = sorted(levels, reverse=name == "bids")[: self.depth]
                self.sides[name] = {price: levels[price] for price in keep}

    def best(self, tick: Decimal) -> tuple[int | None, int | None]:
        """Return the best prices in ticks."""
        bids, asks = self.sides["bids"], self.sides["asks"]
        return (
            int(max(bids) / tick) if bids else None,
            int(min(asks) / tick) if asks else None,
        )


@dataclass
class Setting:
    """What the first records say: parameters and limits in ticks and lots."""

    params: dict[str, int]
    spec: dict[str, int]
    limits: dict[str, int]
    instrument: Instrument
    depth: int
    target_ppm: int
    scale_lots: int
    tolerance: Fraction


def _offsets(grid: Mapping[str, Any]) -> list[int]:
    """Give each level's distance from the inner quote in ppm; none: they are a step apart."""
    if grid["spacing"] != "geometric":
        return list(grid["level_offsets_ppm"])
    ratio, far, gap, found = Fraction(grid["level_ratio"]), Fraction(0), Fraction(1), []
    for _ in range(grid["num_orders"]):
        found.append(floor(grid["level_step_ppm"] * far))
        far, gap = far + gap, gap * ratio
    return found


def _amounts(grid: Mapping[str, Any]) -> list[str]:
    """Give each level's quantity; none: all have the same."""
    if grid["sizes"] != "pyramid":
        return list(grid["level_amounts"])
    first, step = Decimal(grid["order_amount"]), Decimal(grid["size_step_ppm"]) / PPM
    return [str(first + level * step * first) for level in range(grid["num_orders"])]


def _ticks(price: str | None, otherwise: int, instrument: Instrument, rounding: str) -> int:
    return otherwise if price is None else whole(Decimal(price), instrument.tick_size, rounding)


def setting(session: Any, instrument: Instrument) -> Setting:
    """Turn the configuration of a session into integers."""
    config: Mapping[str, Any] = session.config
    grid, risk = config["strategy"], config["risk"]
    (venue,) = (one for one in config["venue"] if one["quote"])
    lot, money = instrument.lot_size, instrument.lot_size * instrument.tick_size

    def lots(text: str) -> int:
        return whole(Decimal(text), lot, ROUND_FLOOR)

    def ticklots(text: str) -> int:
        return whole(Decimal(text), money, ROUND_FLOOR)

    def fee(name: str) -> int:
        told = venue[name] if venue[name] is not None else getattr(instrument, name)
        assert told is not None
        return int(told)

    params = {
        name: grid[name]
        for name in (
            "spread_ppm", "num_orders", "level_step_ppm", "rebalance_threshold_ppm",
            "rebalance_exit_ppm", "skew_full_ppm", "flow_full_ppm", "inventory_widen_ppm",
            "size_skew_ppm", "schedule", "micro_weight_ppm", "micro_cap_ppm",
            "imbalance_full_ppm", "ofi_full_ppm", "compression_full_ppm",
        )
    }  # fmt: skip
    params |= {
        "level_offsets_ppm": _offsets(grid),
        "level_lots": [lots(amount) for amount in _amounts(grid)],
        "floor_ticks": _ticks(grid["price_floor"], 0, instrument, ROUND_CEILING),
        "ceiling_ticks": _ticks(grid["price_ceiling"], 1 << 40, instrument, ROUND_FLOOR),
        "narrow_ppm": grid["narrow_rate_ppm"],
        "order_lots": lots(grid["order_amount"]),
        "vol_ppm": int(Decimal(grid["vol_factor"]) * PPM),
        "rest_ns": grid["quote_rest_ns"],
        "depth_ppm": grid["depth_factor_ppm"],
        "fee_floor_ppm": fee("maker_fee_ppm") + grid["min_edge_ppm"] - grid["fee_budget_ppm"],
        "half_min_ppm": grid["spread_min_ppm"] // 2,
        "half_max_ppm": grid["spread_max_ppm"] // 2,
    }
    qty_min = whole(instrument.qty_min, lot, ROUND_CEILING)
    limits = {
        "order_max": lots(risk["max_order_size"]),
        "order_min": max(qty_min, whole(Decimal(risk["min_order_size"]), lot, ROUND_CEILING)),
        "order_notional": ticklots(risk["max_order_notional"] or risk["max_open_notional"]),
        "open_notional": ticklots(risk["max_open_notional"]),
        "inventory": lots(risk["max_inventory"]),
        "orders": risk["max_orders"] or 4 * grid["num_orders"],
        "collar_ppm": risk["price_collar_ppm"],
        "base_reserve": whole(Decimal(risk["base_reserve"]), lot, ROUND_CEILING),
        "quote_reserve": whole(Decimal(risk["quote_reserve"]), money, ROUND_CEILING),
        "fee_ppm": fee("taker_fee_ppm"),
        "fills_per_minute": risk["fills_per_minute"],
    }
    tolerance = grid["tolerance"]
    return Setting(
        params=params,
        spec={
            "qty_lots_min": qty_min,
            "qty_lots_max": LOTS_MAX,
            "notional_ticklots_min": whole(instrument.cost_min, money, ROUND_CEILING),
        },
        limits=limits,
        instrument=instrument,
        depth=venue["depth"],
        target_ppm=grid["target_base_ppm"],
        scale_lots=lots(grid["inventory_scale"] or risk["max_inventory"]),
        tolerance=(
            Fraction(tolerance["ticks"])
            if tolerance["ticks"] is not None
            else Fraction(tolerance["ppm"] * session.seeds.get("mid_ticks", 0), PPM)
        ),
    )


class Checker:
    """Follow one session; `found` holds what is wrong with it, the counts what was checked."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.ladders = self.intents = self.placed = self.amended = 0
        self.fills: dict[str, FillRecord] = {}
        self.orders: dict[int, Order] = {}
        self.base = self.quote = self.position = 0  # lots, ticklots, lots
        self.held: dict[str, Decimal] = {}  # exact; base and quote are it, rounded down
        self.set: Setting | None = None
        self.end: EndRecord | None = None
        self._session: Any = None
        self._wire: Wire | None = None
        self._ladder: LadderRecord | None = None
        self._batch: list[IntentRecord] = []
        self._before: dict[int, Order | None] = {}
        self._untold: list[tuple[int, int, int]] = []
        self._fill_times: list[int] = []
        self._book_state = BookState.BOOK_UNDECIDED
        self._risk = "RUNNING"
        self._private_up = True
        self._quoted = 0  # its feed
        self._index = -1
        self._tape_index = 0

    # ------------------------------------------------------------------ records

    def take(self, record: JournalRecord) -> None:
        """Follow one record."""
        if self._index >= 0 and record.record_index != self._index + 1:
            self._say(f"records {self._index + 1} to {record.record_index - 1} are missing")
        self._index = record.record_index
        kind = record.kind
        # Between a fill and its transition stands at most the queue place it was filled at.
        if self._untold and kind not in (Record.REC_TRANSITION, Record.REC_PLACE):
            self._say(f"fill without its transition: {self._untold}")
            self._untold.clear()
        if kind == Record.REC_FRAME:
            if record.source == self._quoted and self._wire is not None:
                self._wire.frame(record.payload)
            return
        if kind == Record.REC_CONNECTION:
            if record.source == SOURCE_PRIVATE:
                self._private_up = record.payload == b"1"
            return
        value: Any = read_payload(record)
        match kind:
            case Record.REC_SESSION:
                self._session = value
                (self._quoted,) = (
                    index for index, one in enumerate(value.config["venue"]) if one["quote"]
                )
            case Record.REC_INSTRUMENT if record.source == self._quoted:
                self.set = setting(self._session, value)
                reader = READERS.get(value.venue)
                self._wire = None if reader is None else Wire(reader, self.set.depth)
            case Record.REC_BALANCE:
                self._on_balance(value)
            case Record.REC_BOOK if record.source == self._quoted:
                self._book_state = BookState(value.state)
            case Record.REC_CALL if record.payload.startswith(b'["tune"'):
                self._on_tune(*json.loads(record.payload)[1:4])
            case Record.REC_RISK:
                self._risk = value.to_state
            case Record.REC_LADDER:
                self._on_ladder(value)
            case Record.REC_INTENT:
                self._on_intent(value, record.ts_ns)
            case Record.REC_WRITE_RESULT:
                self._on_written(int.from_bytes(record.payload, "little", signed=True))
            case Record.REC_TRANSITION:
                self._on_transition(value, record.ts_ns)
            case Record.REC_FILL:
                self._on_fill(value, record.ts_ns)
            case Record.REC_END:
                self._on_end(value)

    def _say(self, text: str) -> None:
        self.found.append(f"record {self._index}: {text}")

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            self._say(text)

    def _live(self, side: int | None = None) -> list[Order]:
        return [o for o in self.orders.values() if o.live and side in (None, o.side)]

    def _on_tune(
        self, grid: dict[str, int] | None, plan: dict[str, int] | None,
        inventory: dict[str, int] | None,
    ) -> None:  # fmt: skip
        """Follow other parameters; the limits stay those of the file, which none may pass."""
        assert self.set is not None
        if grid is not None:
            self.set.params.update(grid)
        if plan is not None:
            self.set.tolerance = Fraction(plan["tolerance_ticks"])
        if inventory is not None:
            self.set.target_ppm = inventory["target_ppm"]
            self.set.scale_lots = inventory["scale_lots"]

    def _on_balance(self, value: Any) -> None:
        assert self.set is not None
        if value.kind == "opening":
            # What orders of earlier sessions filled stands before the opening, which contains it.
            self.held[value.asset] = Decimal(0)
            self._hold(value.asset, value.total)
        elif value.kind not in ("snapshot", "trade", "closing") and value.change is not None:
            self._hold(value.asset, value.change - value.fee)
        elif value.kind == "closing":
            expected = self.held[value.asset]
            self._expect(
                value.total == expected,
                f"closing {value.asset} is {value.total}, the fills make it {expected}",
            )

    def _hold(self, asset: str, change: Decimal) -> None:
        assert self.set is not None
        instrument = self.set.instrument
        self.held[asset] = self.held.get(asset, Decimal(0)) + change
        if asset == instrument.base:
            self.base = whole(self.held[asset], instrument.lot_size, ROUND_FLOOR)
        elif asset == instrument.quote:
            unit = instrument.lot_size * instrument.tick_size
            self.quote = whole(self.held[asset], unit, ROUND_FLOOR)

    # ------------------------------------------------------------------ decisions

    def _off_target(self, reference: int) -> tuple[int, int]:
        """Return lots off target and the share of base, at a reference."""
        assert self.set is not None
        price = Fraction(reference, PPM)
        total = self.quote + self.base * price
        q_lots = self.base - floor(Fraction(self.set.target_ppm, PPM) * total / price)
        return q_lots, floor(self.base * price / total * PPM)

    def _on_ladder(self, got: LadderRecord) -> None:
        assert self.set is not None
        self.ladders += 1
        self._ladder = got
        view, limits = got.view, self.set.limits
        parts = got.parts
        want = quotes.ladder(
            view._asdict(), self.set.params, self.set.spec, got.one_sided_before,
            (parts.held_bids, parts.held_asks), (parts.anchor_uticks, parts.anchor_ns),
        )  # fmt: skip
        seen = parts._asdict() | {
            "bids": list(got.bids),
            "asks": list(got.asks),
            "clamps": got.clamps,
            "sides_off": got.sides_off,
            "one_sided": got.one_sided_after,
            "quoting": int(bool(got.bids or got.asks)),
        }
        for name, value in seen.items():
            self._expect(value == want[name], f"ladder {name} is {value}, not {want[name]}")
        reference = view.reference_uticks
        q_lots, share = self._off_target(reference)
        x_ppm = max(-PPM, min(PPM, q_lots * PPM // self.set.scale_lots))
        free = max(self.quote - limits["quote_reserve"], 0)
        free = free * PPM // (PPM + limits["fee_ppm"])
        for name, told, own in (
            ("base", view.base_lots, self.base - limits["base_reserve"]),
            ("free quote", view.quote_lots_max, free * PPM // reference),
            ("inventory off target", view.x_ppm, x_ppm),
            ("share of base", view.share_ppm, share),
        ):
            self._expect(told == own, f"view's {name} is {told}, the fills make it {own}")
        if self._wire is None:
            return
        bid, ask = self._wire.best(self.set.instrument.tick_size)
        self._expect(
            bid is not None and ask is not None,
            "a ladder without a book",
        )
        if bid is not None and ask is not None:
            # The view leaves our own orders out: its market is never inside the venue's.
            self._expect(view.best_bid_ticks <= bid, f"view's bid {view.best_bid_ticks} > {bid}")
            self._expect(view.best_ask_ticks >= ask, f"view's ask {view.best_ask_ticks} < {ask}")

    def _on_intent(self, intent: IntentRecord, ts_ns: int) -> None:
        action = intent.action
        self.intents += 1
        self._batch.append(intent)
        order = self.orders.get(action.seq)
        self._before.setdefault(action.seq, None if order is None else Order(**vars(order)))
        if action.kind == ActionKind.ACTION_CANCEL:
            self._expect(order is not None, f"cancel of an order nobody placed: {action.seq}")
            return
        self._expect(
            self._book_state is BookState.BOOK_VERIFIED, f"{action} on a {self._book_state.name}"
        )
        self._expect(self._risk in ("RUNNING", "REDUCING"), f"{action} while {self._risk}")
        self._expect(self._private_up, f"{action} without the private stream")
        if action.kind == ActionKind.ACTION_PLACE:
            self.placed += 1
            self._expect(order is None, f"sequence {action.seq} is placed twice")
            order = self.orders[action.seq] = Order(
                action.side, action.price_ticks, action.qty_lots, lane=action.level >= LANE_FIRST
            )
            self._expect(
                order.lane == (action.why in (ActionWhy.WHY_HAND, ActionWhy.WHY_REBALANCE)),
                f"{action} in a lane not its own",
            )
        elif order is None or not order.live:
            self._say(f"amend of an order that is not there: {action}")
            return
        else:
            self.amended += 1
            order.pending = (action.price_ticks, action.qty_lots)
        self._rules(intent, order)
        self._limits(intent, order, ts_ns)

    def _rules(self, intent: IntentRecord, order: Order) -> None:
        """Check what is wanted against the ladder, the market and our other side."""
        assert self.set is not None
        action = intent.action
        if self._ladder is None:
            self._say(f"{action} follows from no ladder")
            return
        if not order.lane:
            self._serves(intent, order)
        price = action.price_ticks
        sign = 1 if action.side == BUY else -1
        opposite = None
        if self._wire is not None:
            opposite = self._wire.best(self.set.instrument.tick_size)[1 if sign > 0 else 0]
        if opposite is not None and action.why != ActionWhy.WHY_REBALANCE:
            self._expect(sign * price < sign * opposite, f"{action} crosses the book at {opposite}")
        for other in self._live(SELL if action.side == BUY else BUY):
            for theirs in other.prices:
                self._expect(sign * price < sign * theirs, f"{action} crosses our own {theirs}")

    def _serves(self, intent: IntentRecord, order: Order) -> None:
        """Check what is wanted against the ladder."""
        assert self.set is not None
        assert self._ladder is not None
        action = intent.action
        price, rest = action.price_ticks, action.qty_lots - order.filled
        levels = dict(self._ladder.bids if action.side == BUY else self._ladder.asks)
        if action.kind == ActionKind.ACTION_PLACE:
            # One order a level, and an order without answer still holds its own.
            alive = len([one for one in self._live(action.side) if not one.lane])
            self._expect(
                alive <= len(levels),
                f"{action} is sent though {alive - 1} orders may be alive for {len(levels)} levels",
            )
        if action.why == ActionWhy.WHY_RESIZED:
            # Stays where it stands, which is near enough to the level it serves. One that shrinks
            # keeps its queue place, for which it may be half a level off.
            serves = [p for p, lots in levels.items() if lots == rest]
            bound = self.set.tolerance
            if rest < order.qty - order.filled and len(levels) > 1:
                steps = sorted(levels)
                bound = max(bound, Fraction(min(b - a for a, b in pairwise(steps)), 2))
            near = any(abs(p - price) <= bound for p in serves)
            self._expect(near, f"{action} serves no level of {levels}")
        else:
            self._expect(levels.get(price) == rest, f"{action} is no level of {levels}")

    def _limits(self, intent: IntentRecord, order: Order, ts_ns: int) -> None:
        """Check every limit with this order in place."""
        assert self.set is not None
        assert self._ladder is not None
        action, limits = intent.action, self.set.limits
        rest = action.qty_lots - order.filled
        reference = self._ladder.view.reference_uticks
        sign = 1 if action.side == BUY else -1
        q_lots, _ = self._off_target(reference)
        mine = self._live(action.side)
        lots = sum(o.rest for o in mine)
        cost = sum(o.notional for o in mine)
        recent = [one for one in self._fill_times if one > ts_ns - 60 * 10**9]
        off = abs(action.price_ticks * PPM - reference)
        slack_lots, slack_uticks = 0, 0
        if order.lane:
            # Beside a ladder the reference is not on record: the last one known is near it.
            slack_lots, slack_uticks = self.base // 1000, reference // 1000
        checks = {
            "largest order": rest <= limits["order_max"],
            "smallest order": rest >= limits["order_min"],
            "venue's least worth": rest * action.price_ticks
            >= self.set.spec["notional_ticklots_min"],
            "order notional": rest * action.price_ticks <= limits["order_notional"],
            "price collar": (off - slack_uticks) * PPM <= limits["collar_ppm"] * reference,
            "order count": len(self._live()) <= limits["orders"],
            "open notional": sum(o.notional for o in self._live()) <= limits["open_notional"],
            "inventory": sign * q_lots + lots <= limits["inventory"] + slack_lots,
            "fills a minute": len(recent) <= limits["fills_per_minute"],
        }
        if action.side == SELL:
            checks["base held"] = lots <= self.base - limits["base_reserve"]
        else:
            held = self.quote - limits["quote_reserve"]
            checks["quote held"] = cost * (PPM + limits["fee_ppm"]) <= held * PPM
        for name, holds in checks.items():
            self._expect(holds, f"limit broken, {name}: {action}")

    def _on_written(self, accepted: int) -> None:
        if accepted < 0:
            for seq, order in self._before.items():
                if order is None:
                    self.orders[seq].live = False
                else:
                    self.orders[seq] = order
        self._batch.clear()
        self._before.clear()

    # ------------------------------------------------------------------ what came of it

    def _on_transition(self, value: TransitionRecord, ts_ns: int) -> None:
        order = self.orders.get(value.seq)
        if order is None:
            self._say(f"transition of an order nobody placed: {value}")
            return
        event = OrderEvent(value.event)
        if event is OrderEvent.EV_FILL:
            told = (value.seq, value.price_ticks, value.qty_lots)
            if told in self._untold:
                self._untold.remove(told)
            else:
                self._say(f"transition without its fill: {value}")
        elif event in GONE:
            order.live = False
        elif event is OrderEvent.EV_PROVEN_OPEN:
            # What the venue shows settles an amend that went unanswered, either way.
            if value.price_ticks and value.to_state in TOLD:
                order.change(value.price_ticks, value.qty_lots or order.qty, ts_ns)
        elif event is OrderEvent.EV_AMENDED and order.pending is not None:
            order.change(*order.pending, ts_ns)
        elif event is OrderEvent.EV_AMEND_REJECTED:
            order.pending = None
            order.settle()

    def _on_fill(self, fill: FillRecord, ts_ns: int) -> None:
        assert self.set is not None
        if not fill.seq:
            # Of an earlier session; before the opening, which contains it, nothing moves here.
            if self.held:
                self._say(f"fill of an earlier session after the opening: {fill}")
            return
        self._untold.append((fill.seq, fill.price_ticks, fill.qty_lots))
        self._expect(fill.exec_id not in self.fills, f"fill booked twice: {fill.exec_id}")
        self.fills[fill.exec_id] = fill
        self._fill_times.append(ts_ns)
        sign = 1 if fill.side == BUY else -1
        self.position += sign * fill.qty_lots
        self._hold(self.set.instrument.quote, -sign * fill.cost)
        self._hold(self.set.instrument.base, sign * self.set.instrument.qty(fill.qty_lots))
        for fee in fill.fees:
            self._hold(fee.asset, -fee.amount)
        order = self.orders.get(fill.seq)
        if order is None:
            self._say(f"fill of an order nobody placed: {fill}")
            return
        self._expect(order.side == fill.side, f"fill on the other side: {fill}")
        prices = order.stood_at(fill.ts_ns)
        worst = max(prices) if sign > 0 else min(prices)
        self._expect(sign * fill.price_ticks <= sign * worst, f"fill worse than {worst}: {fill}")
        order.filled += fill.qty_lots
        self._expect(order.filled <= order.total, f"filled beyond its quantity: {fill}")
        order.settle()
        reference = fill.reference_uticks
        if reference is not None:
            q_lots, _ = self._off_target(reference)
            self._expect(
                abs(q_lots) <= self.set.limits["inventory"], f"inventory limit broken: {q_lots}"
            )

    def _on_end(self, end: EndRecord) -> None:
        self.end = end
        told = end.counters["fills"]
        self._expect(told == len(self.fills), f"{told} fills counted, {len(self.fills)} recorded")
        live = [seq for seq, order in self.orders.items() if order.live]
        self._expect(end.open_order_count == 0 and not live, f"open at the end: {live}")


def check(records: Iterable[JournalRecord]) -> Checker:
    """Follow a whole session."""
    checker = Checker()
    for record in records:
        checker.take(record)
    return checker
