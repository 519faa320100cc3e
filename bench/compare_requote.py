"""Compare how quotes follow a recorded market: the planner as a bot's file has it that does not say
more, and with places in queues worth nothing, against cancelling and replacing everything.

`python -m bench.compare_requote [--json] [--frames N]` prints a table over the recordings of
Binance spot, Coinbase and Kraken: order actions and messages a move, how far orders stand off, how
long those that were filled had their place, and profit. Each policy is the whole pipeline, from the
recorded frames to encoded orders, ten levels a side, on the same events; the venue takes every
request at once. A *move* is a change of the reference, which is the book's mid, by a tick or more
since the last one. Quotes are looked at again with every message (`requote_threshold` 0): nothing
is spared by not looking.

Fill model, the same for every policy, as a recording cannot answer: ours are not in the book. An
order that comes to a price stands behind everything shown there; trades at the price take what is
in front first and then ours, a trade through the price takes ours whole; of what leaves without a
trade a part was in front in proportion (`QUEUE_POWER` with power 1). An order is filled by nothing
that comes within 100 ms of its coming to a price: recorded trades trail the book by as much. Our
fills move nobody: no market impact. A filled level is placed again at the next message; whoever
replaces everything then replaces everything. Profit is before fees, what is held is marked at the
last mid. A recording without trades has no fills.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

from bench.book_streams import shared_data
from openmm._fast.book import Book, BookState
from openmm._fast.checks import Checks, RateBudget, RiskState
from openmm._fast.inventory import Inventory
from openmm._fast.latency import StageLatency
from openmm._fast.orders import OrderEvent, OrderState, OrderTable
from openmm._fast.pipeline import Decision, Feed, Pipeline
from openmm._fast.planner import Planner
from openmm._fast.ports import Decoder, NullTransport
from openmm._fast.queue import Queue, QueueModel
from openmm._fast.reference import Reference
from openmm._fast.signals import Signals
from openmm._fast.tape import Tape
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.config.params import QUEUE_MODELS
from openmm.config.schema import Grid
from openmm.config.values import Distance, format_ppm
from openmm.instrument import Instrument
from openmm.strategy.grid import GridStrategy
from openmm.strategy.parameters import GridParameters
from openmm.venues.binance.verify import rest_frame
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.capture import read_frames
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.recordings import read_rows, read_stamped

LEVELS: Final = 10
WARM_MOVES: Final = 10  # at the start: the first ladder is none, and signals settle
REST_NS: Final = 100_000_000
ROUNDS_MAX: Final = 4
PPM: Final = 1_000_000
ANSWERS: Final = {
    OrderState.PENDING_NEW: OrderEvent.EV_ACKED,
    OrderState.PENDING_AMEND: OrderEvent.EV_AMENDED,
    OrderState.PENDING_CANCEL: OrderEvent.EV_CANCELLED,
}
# Cancel and replace all; the defaults of a file; these with places worth nothing; those with a
# tolerance of half a level.
Policy = Literal["replace", "default", "no places", "wide"]
POLICIES: Final[tuple[Policy, ...]] = ("replace", "default", "no places", "wide")
# What the printed table has of a row.
COLUMNS: Final = {
    "policy": "policy", "moves": "moves", "actions_per_move": "actions",
    "messages_per_move": "messages", "actions_per_one_tick_move": "of one tick: actions",
    "messages_per_one_tick_move": "messages", "actions_per_move_with_refills": "with refills",
    "off_max_of_half_level": "furthest off, of half a level", "fills": "fills",
    "queue_age_s_median": "median age at fill, s", "profit": "profit", "inventory": "inventory",
}  # fmt: skip
# A trade of the market: taker side, price_ticks, qty_lots.
Trade = tuple[int, int, int]


@dataclass(frozen=True)
class Message:
    """One recorded message, and the trade it tells, if any."""

    recv_ns: int
    data: bytes
    trade: Trade | None


@dataclass(frozen=True)
class Market:
    """A recording, and the pair it is of.

    Attributes:
        level_ppm: distance of the ladder's levels, of price; the spread is twice that.
    """

    label: str
    instrument: Instrument
    decoder: Callable[[Instrument, Book], Decoder]
    read: Callable[[Path, Instrument], Iterator[Message]]
    level_ppm: int
    order_qty: str
    trades: bool = True


def _pair(venue: str, name: str, price_decimals: int, qty_decimals: int) -> Instrument:
    base, _, quote = name.partition("/")
    tick, lot = Decimal(1).scaleb(-price_decimals), Decimal(1).scaleb(-qty_decimals)
    return Instrument(
        venue, name, base, quote, price_decimals, qty_decimals, tick, lot, lot, tick,
        qty_decimals, price_decimals + qty_decimals,
    )  # fmt: skip


# ------------------------------------------------------------------ recordings


def _binance(pair: Instrument, book: Book) -> Decoder:
    decoder = BinanceDecoder()
    decoder.bind("BTCUSDT", 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 0, False)
    return decoder


def _read_binance(*names: str) -> Callable[[Path, Instrument], Iterator[Message]]:
    def read(data: Path, pair: Instrument) -> Iterator[Message]:
        for name in names:
            for record in read_stamped(data / "binance" / name):
                frame, trade = record.data, None
                if frame.startswith(b'{"lastUpdateId"'):
                    frame = rest_frame("BTCUSDT", frame)
                elif b"@trade" in frame[:64]:
                    told = json.loads(frame)["data"]
                    side = Side.SELL if told["m"] else Side.BUY
                    trade = _trade(pair, side, told["p"], told["q"])
                elif b"@depth" not in frame[:64]:
                    continue
                yield Message(record.recv_ns, frame, trade)

    return read


def _coinbase(pair: Instrument, book: Book) -> Decoder:
    decoder = CoinbaseDecoder()
    decoder.bind("BTC-USD", 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 0)
    return decoder


def _read_coinbase(data: Path, pair: Instrument) -> Iterator[Message]:
    last_ns = 0
    for _, row in read_rows(data / "coinbase" / "btcusd_20180417_full.csv.gz"):
        kind = row["type"]
        if kind not in ("snapshot", "l2update", "match"):
            continue
        told: dict[str, Any] = {"type": kind, "product_id": row["product_id"]}
        trade = None
        for name in ("bids", "asks", "changes"):
            if row[name]:
                told[name] = ast.literal_eval(row[name])
        for name in ("side", "price", "size", "time", "maker_order_id", "taker_order_id"):
            if row[name]:
                told[name] = row[name]
        for name in ("sequence", "trade_id"):
            if row[name]:
                told[name] = int(Decimal(row[name]))
        if kind == "match":
            # The side told is the maker's.
            side = Side.SELL if row["side"] == "buy" else Side.BUY
            trade = _trade(pair, side, row["price"], row["size"])
        if row["time"]:
            # No times of receipt: the venue's, which now and then go back by some.
            last_ns = max(
                last_ns, int(datetime.fromisoformat(row["time"]).timestamp() * 1e6) * 1000
            )
        yield Message(last_ns, json.dumps(told, separators=(",", ":")).encode(), trade)


def _read_changes(data: Path, pair: Instrument) -> Iterator[Message]:
    """Read the snapshot and the level changes behind it, one a message."""

    def message(told: dict[str, Any], recv_ns: int) -> Message:
        told = {"product_id": "BTC-USD"} | told
        return Message(recv_ns, json.dumps(told, separators=(",", ":")).encode(), None)

    def qty(row: Mapping[str, str]) -> str:
        # It went through a float.
        return f"{Decimal(row['size']).quantize(Decimal(1).scaleb(-pair.qty_decimals)):f}"

    folder = data / "coinbase"
    copy = {
        side: [[row["price"], qty(row)] for _, row in read_rows(folder / f"{COPIED}_{side}.csv.gz")]
        for side in ("bids", "asks")
    }
    last_ns = 0
    for _, row in read_rows(folder / "btcusd_20180424_l2_part1.csv.gz"):
        at_ns = int(datetime.fromisoformat(row["time"]).timestamp() * 1e6) * 1000
        if not last_ns:
            yield message({"type": "snapshot"} | copy, at_ns)
        last_ns = max(last_ns, at_ns)
        changes = [[row["side"], row["price"], qty(row)]]
        yield message({"type": "l2update", "changes": changes, "time": row["time"]}, last_ns)


def _kraken(pair: Instrument, book: Book) -> Decoder:
    decoder = KrakenDecoder()
    decoder.bind(pair.name, 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 25, True)
    return decoder


def _read_kraken(name: str) -> Callable[[Path, Instrument], Iterator[Message]]:
    def read(data: Path, pair: Instrument) -> Iterator[Message]:
        for frame in read_frames(data / "kraken" / name):
            yield Message(frame.recv_ns, frame.data, None)

    return read


def _trade(pair: Instrument, side: Side, price: str, qty: str) -> Trade:
    price_ticks = int(Decimal(price).scaleb(pair.price_decimals))
    return int(side), price_ticks, int(Decimal(qty).scaleb(pair.qty_decimals))


COPIED: Final = "btcusd_20180424_snapshot"
SPOT: Final = _pair("binance", "BTC/USDT", 2, 5)
MARKETS: Final = (
    Market(
        "Binance BTC/USDT 2024-08-08", SPOT, _binance, _read_binance("spot_btcusdt_20240808.gz"),
        100, "0.01",
    ),
    Market(
        "Coinbase BTC/USD 2018-04-17", _pair("coinbase", "BTC/USD", 2, 8), _coinbase,
        _read_coinbase, 50, "0.1",
    ),
    Market(
        "Coinbase BTC/USD 2018-04-24", _pair("coinbase", "BTC/USD", 2, 8), _coinbase,
        _read_changes, 50, "0.1", trades=False,
    ),
    Market(
        "Kraken BTC/USD 2026-08-02", _pair("kraken", "BTC/USD", 1, 8), _kraken,
        _read_kraken("v2_btcusd_d25_20260802.cbcap.gz"), 25, "0.01", trades=False,
    ),
    Market(
        "Kraken XRP/USD 2026-08-02", _pair("kraken", "XRP/USD", 5, 8), _kraken,
        _read_kraken("v2_xrpusd_d25_20260802.cbcap.gz"), 50, "1000", trades=False,
    ),
)  # fmt: skip


# ------------------------------------------------------------------ one policy on one market


@dataclass
class Fill:
    """One fill of ours, by the fill model."""

    side: int
    price_ticks: int
    qty_lots: int
    age_ns: int  # since it had its place
    ahead_lots: int | None  # what our own estimate put in front of it; None: no estimate


@dataclass
class Outcome:
    """What a policy did on a market.

    Attributes:
        by_move: size of each move in ticks, order actions and messages it led to.
        other_actions: actions that followed no move: a fill replaced, a quantity changed.
        off_max: largest distance of a live order from its wanted price, as a share of half a level.
    """

    market: str
    policy: Policy
    by_move: list[tuple[int, int, int]] = field(default_factory=list)
    other_actions: int = 0
    other_messages: int = 0
    decisions: int = 0
    off_max: float = 0.0
    held: int = 0
    fills: list[Fill] = field(default_factory=list)
    profit: Decimal = Decimal(0)
    inventory: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))

    def per_move(self, ticks_max: int = 1 << 40) -> tuple[int, float, float]:
        """Return count, mean actions and mean messages of the moves of at most so many ticks."""
        chosen = [one for one in self.by_move if one[0] <= ticks_max]
        count = max(1, len(chosen))
        return len(chosen), sum(o[1] for o in chosen) / count, sum(o[2] for o in chosen) / count

    def all_in(self) -> float:
        """Return all actions, those that replace fills too, over the number of moves."""
        total = self.other_actions + sum(one[1] for one in self.by_move)
        return total / max(1, len(self.by_move))

    def row(self) -> dict[str, Any]:
        """Return the numbers of the table."""
        ones, ones_actions, ones_messages = self.per_move(1)
        moves, actions, messages = self.per_move()
        ages = [one.age_ns / 1e9 for one in self.fills]
        return {
            "market": self.market, "policy": self.policy, "moves": moves, "one_tick_moves": ones,
            "actions_per_one_tick_move": round(ones_actions, 2),
            "messages_per_one_tick_move": round(ones_messages, 2),
            "actions_per_move": round(actions, 2), "messages_per_move": round(messages, 2),
            "actions_per_move_with_refills": round(self.all_in(), 2),
            "off_max_of_half_level": round(self.off_max, 3), "held_for_their_place": self.held,
            "other_actions": self.other_actions, "fills": len(self.fills),
            "queue_age_s_median": round(median(ages), 3) if ages else None,
            "profit": f"{self.profit:.4f}",
            "inventory": [f"{one:f}" for one in self.inventory],
        }  # fmt: skip


class Run:
    """One policy on one market, message by message."""

    def __init__(self, market: Market, policy: Policy, price_ticks: int) -> None:
        self.market, self.policy, pair = market, policy, market.instrument
        self.book = Book(outside_levels=1 << 16)
        self.feed = Feed(market.decoder(pair, self.book), self.book, Signals(), 0, quoted=True)
        lots = pair.exact_lots(Decimal(market.order_qty))
        self.places = Queue(1, QueueModel.QUEUE_POWER, 1)  # the fill model's
        self.table = OrderTable()
        self.pipeline = _pipeline(
            market, self.feed, self.table, lots, price_ticks,
            planner_of(section(market), policy, price_ticks),
        )  # fmt: skip
        self.outcome = Outcome(market.label, policy)
        self._mid_uticks: int | None = None
        self._filled = False
        self._cash_ticklots = self._held_lots = 0
        self._range = [0, 0]
        self._moves_seen = 0

    def take(self, message: Message) -> None:
        """Read one message, decide, let the venue answer, and count."""
        pipeline, sent, written = (
            self.pipeline,
            self.pipeline.sent_count,
            self.pipeline.message_count,
        )
        if message.trade is not None:
            self._trade(message)
        pipeline.on_frame(self.feed, message.data, message.recv_ns, self.policy != "replace")
        if self.book.state is not BookState.BOOK_VERIFIED:
            return
        moved = self._moved()
        if self.policy == "replace":
            if moved or self._filled or not self.table.live_count:
                self._filled = False
                pipeline.withdraw(message.recv_ns)
                self._answer(message.recv_ns)
                pipeline.requote(message.recv_ns)
                self._answer(message.recv_ns)
        else:
            # Answers let go what waited for another order to be out of the way, as in the engine.
            for _ in range(ROUNDS_MAX):
                if pipeline.last_decision is not Decision.DECISION_SENT:
                    break
                self._answer(message.recv_ns)
                pipeline.requote(message.recv_ns)
        if message.trade is None:
            self.places.look(self.book, self.table, own_shown=False)
        self._count(moved, pipeline.sent_count - sent, pipeline.message_count - written)

    def finish(self) -> Outcome:
        """Mark what is held at the last mid."""
        pair, mid = self.market.instrument, self._mid_uticks or 0
        marked = self._cash_ticklots + self._held_lots * mid // UTICKS_PER_TICK
        self.outcome.profit = marked * pair.tick_size * pair.lot_size
        low, high = self._range
        self.outcome.inventory = (pair.lot_size * low, pair.lot_size * high)
        self.outcome.held = self.pipeline.planner.held_count
        return self.outcome

    def _moved(self) -> int:
        """Return by how many ticks the reference moved since the last decision."""
        bid, ask = self.book.best_bid_ticks, self.book.best_ask_ticks
        assert bid is not None
        assert ask is not None
        mid = (bid + ask) * (UTICKS_PER_TICK // 2)
        if self._mid_uticks is None:
            self._mid_uticks = mid
            return 1
        ticks = abs(mid - self._mid_uticks) // UTICKS_PER_TICK
        if ticks:
            self._mid_uticks = mid
        return ticks

    def _count(self, moved: int, actions: int, messages: int) -> None:
        out, pipeline = self.outcome, self.pipeline
        self._moves_seen += moved > 0
        if self._moves_seen <= WARM_MOVES:
            return
        if moved:
            out.by_move.append((moved, actions, messages))
        else:
            out.other_actions += actions
            out.other_messages += messages
        if actions or moved:
            out.decisions += 1
            out.off_max = max(out.off_max, off_share(pipeline.ladder_levels(), self.table))

    def _answer(self, now_ns: int) -> None:
        for order in self.table.live():
            event = ANSWERS.get(order.state)
            if event is not None:
                self.table.event(order.seq, event, now_ns)

    def _trade(self, message: Message) -> None:
        """Fill what a trade of the market would have reached."""
        assert message.trade is not None
        side, price_ticks, qty_lots = message.trade
        for order in self.table.live():
            if order.side == side or message.recv_ns - order.queue_ns < REST_NS:
                continue
            through = order.price_ticks - price_ticks
            through = through if order.side == Side.BUY else -through
            if through < 0:
                continue
            left = order.qty_lots - order.filled_lots
            if through == 0:
                place = self.places.place(self.table, order.seq)
                left = 0 if place is None else min(left, qty_lots - place.ahead_lots)
            if left > 0:
                self._fill(order.seq, left, message.recv_ns)
        self.places.trade(self.table, side, price_ticks, qty_lots)

    def _fill(self, seq: int, qty_lots: int, now_ns: int) -> None:
        order, pipeline = self.table.get(seq), self.pipeline
        assert order is not None
        own = pipeline.planner.queue.place(self.table, seq)
        self.table.fill(seq, order.price_ticks, qty_lots, now_ns)
        pipeline.inventory.fill(order.side, order.price_ticks, qty_lots)
        pipeline.mark_dirty()
        self._filled = True
        sign = 1 if order.side == Side.BUY else -1
        self._held_lots += sign * qty_lots
        self._cash_ticklots -= sign * qty_lots * order.price_ticks
        self._range = [min(self._range[0], self._held_lots), max(self._range[1], self._held_lots)]
        self.outcome.fills.append(
            Fill(
                order.side, order.price_ticks, qty_lots, now_ns - order.queue_ns,
                None if own is None else own.ahead_lots,
            )
        )  # fmt: skip


def off_share(ladder: Sequence[Sequence[tuple[int, int]]], table: OrderTable) -> float:
    """Return the largest distance of a live order from its wanted price, in halves of a level.

    Infinite where an order serves no level, or a level has none.
    """
    worst = 0.0
    for side, levels in ((Side.BUY, ladder[0]), (Side.SELL, ladder[1])):
        own = [order for order in table.live() if order.side == side]
        if sorted(order.level for order in own) != list(range(len(levels))):
            return float("inf")
        half_level = min(abs(a[0] - b[0]) for a, b in pairwise(levels)) / 2 if own[1:] else 1
        for order in own:
            worst = max(worst, abs(order.price_ticks - levels[order.level][0]) / half_level)
    return worst


def section(market: Market) -> Grid:
    """Return the `[strategy]` of a bot on a market that tells what it must and its level step."""
    return Grid.model_validate(
        {
            "kind": "grid", "spread": format_ppm(2 * market.level_ppm),
            "level_step": format_ppm(market.level_ppm), "order_amount": market.order_qty,
            "num_orders": LEVELS, "rebalance_threshold": "40%",
        }
    )  # fmt: skip


def planner_of(told: Grid, policy: Policy, price_ticks: int) -> Planner:
    """Return the planner of a policy; whoever replaces everything never asks it what may stay."""
    tolerance = told.tolerance
    if policy == "wide":
        tolerance = Distance(ppm=told.level_step_ppm // 2)
    value_ticks = told.queue_value.to_ticks(price_ticks) if policy == "default" else 0
    return Planner(
        tolerance.to_ticks(price_ticks), told.qty_tolerance_ppm, True, 0,
        Queue(value_ticks, QUEUE_MODELS[told.queue_model], told.queue_power),
    )  # fmt: skip


def _pipeline(
    market: Market, feed: Feed, table: OrderTable, lots: int, price_ticks: int, planner: Planner
) -> Pipeline:
    pair, told = market.instrument, section(market)
    grid = GridParameters(
        spread_ppm=told.spread_ppm, order_lots=lots, num_orders=LEVELS,
        level_step_ppm=told.level_step_ppm, rebalance_threshold_ppm=told.rebalance_threshold_ppm,
        rebalance_exit_ppm=told.rebalance_exit_ppm, skew_full_ppm=told.skew_full_ppm,
        flow_full_ppm=told.flow_full_ppm, vol_ppm=told.vol_ppm, rest_ns=told.quote_rest_ns,
        depth_ppm=told.depth_factor_ppm, inventory_widen_ppm=told.inventory_widen_ppm,
        fee_floor_ppm=0, half_min_ppm=0, half_max_ppm=told.spread_max_ppm // 2,
        size_skew_ppm=told.size_skew_ppm,
    )  # fmt: skip
    reference = Reference()
    reference.add_source(age_ns_max=3_600_000_000_000, spread_ppm_max=10_000)
    encoder = KrakenEncoder(
        pair.name, 1, pair.price_decimals, 1, pair.qty_decimals, "cmp", "0000001"
    )
    encoder.set_token("T" * 43)
    inventory = Inventory(target_ppm=500_000, scale_lots=100 * lots)
    inventory.set_balances(500 * lots, 500 * lots * price_ticks)
    most = 1 << 60
    checks = Checks(
        {
            "order_lots_max": 1 << 50, "order_lots_min": 1, "order_ticklots_max": most,
            "open_ticklots_max": most, "inventory_lots_max": 200 * lots, "collar_ppm": 50_000,
            "order_count_max": 64, "message_age_ns_max": 3_600_000_000_000,
            "clock_offset_ns_max": 2_000_000_000, "base_reserve_lots": 0,
            "quote_reserve_ticklots": 0, "fills_per_minute_max": 100_000, "fee_ppm": 0,
        },
        pair.spec(), RateBudget(1 << 50, 0, PPM, add_milli=1, batch_add_milli=1, amend_milli=1),
    )  # fmt: skip
    pipeline = Pipeline(
        feed, reference, GridStrategy(pair, grid), planner, checks, table, inventory, encoder,
        NullTransport(), Tape(None, size_bytes=1 << 22, follow=False), StageLatency(),
        requote_uticks=0, own_in_book=False,
    )  # fmt: skip
    pipeline.set_inputs(
        risk_state=RiskState.RUNNING, stream_live=True, instrument_online=True, clock_offset_ns=0,
        fills_last_minute=0, drawdown_breached=False,
    )  # fmt: skip
    pipeline.quoting = True
    return pipeline


def load(market: Market, data: Path, frames: int = 1 << 40) -> list[Message]:
    """Read at most so many messages of a recording."""
    found = []
    for message in market.read(data, market.instrument):
        found.append(message)
        if len(found) == frames:
            break
    return found


def run(market: Market, policy: Policy, messages: Sequence[Message]) -> Outcome:
    """Put a recording through a policy."""
    one = Run(market, policy, first_price(market, messages))
    for message in messages:
        one.take(message)
    return one.finish()


def first_price(market: Market, messages: Sequence[Message]) -> int:
    """Return the first mid of a recording, in ticks: what distances given as shares are of."""
    book = Book(outside_levels=1 << 16)
    decoder = market.decoder(market.instrument, book)
    for message in messages:
        decoder.decode(message.data, message.recv_ns)
        if book.state is BookState.BOOK_VERIFIED:
            bid, ask = book.best_bid_ticks, book.best_ask_ticks
            assert bid is not None
            assert ask is not None
            return (bid + ask) // 2
    raise ValueError(f"{market.label}: the book never becomes whole")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare_requote")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--frames", type=int, default=1 << 40, help="messages of each recording")
    chosen = parser.parse_args(argv)
    data = shared_data()
    if data is None:
        print("no recorded data beside the checkout", file=sys.stderr)
        return 1
    rows = []
    for market in MARKETS:
        messages = load(market, data, chosen.frames)
        rows += [run(market, policy, messages).row() for policy in POLICIES]
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return 0
    for market in MARKETS:
        print(f"\n{market.label}\n")
        print("\n".join(lines([row for row in rows if row["market"] == market.label])))
    return 0


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of a market, line by line."""
    found = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    for row in rows:
        told = [row[key] for key in COLUMNS]
        found.append(
            [
                "" if one is None else " to ".join(one) if isinstance(one, list) else str(one)
                for one in told
            ]
        )
    return [f"| {' | '.join(line)} |" for line in found]


if __name__ == "__main__":
    raise SystemExit(main())
