"""Every key of every kind of strategy does something: two values of it quote differently.

A key without a row here fails the first test; one whose two values come to the same, the others.
Keys of a price are shown by the ladder that the compiled strategy makes of a bot's file; the others
by the orders of the whole engine over a market written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from msgspec import Struct

from openmm._fast.tape import Record, Tape
from openmm.config import BotConfig, parse, strategy_params
from openmm.config.schema import AnyStrategy, key_of
from openmm.journal import JournalRecord, read_intent
from openmm.rerun.engine import TICK_NS, Rerun
from openmm.rerun.runs import placed_in
from openmm.rerun.streams import Stream, recorded
from openmm.strategy import compiled
from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from tests._fast.test_quotes import PAIR, UTICKS, VIEW
from tests.rerun.told import Rows, copy, levels, trade, written
from tests.strategy.installed import install

Told = Mapping[str, object]


class Joins:
    """Quote a level a side, some ticks off the best prices."""

    def __init__(self, away_ticks: int = 989) -> None:
        self.away_ticks = away_ticks

    def quote(self, view: View) -> Quotes:
        """Return a level a side."""
        lots = 10_000 + view.x_ppm // 100
        return Quotes(
            [(view.best_bid_ticks - self.away_ticks, lots)],
            [(view.best_ask_ticks + self.away_ticks, lots)],
        )


class Other(Joins):
    """Quote nearer."""

    def __init__(self) -> None:
        super().__init__(509)


LADDER: Told = {
    "order_amount": "0.1", "num_orders": 3, "rebalance_threshold": "30%", "level_step": "5bps",
}  # fmt: skip
MODEL: Told = {**LADDER, "gamma": "0.05", "fit_decay": "3bps"}
KINDS: dict[str, Told] = {
    "grid": {**LADDER, "spread": "20bps"},
    "glft": {**MODEL, "fit_arrival": "0.5"},
    "avellaneda": MODEL,
    "python": {"class": f"{__name__}:Joins"},
    "plugin": {"name": "joins"},
}
MODELS = {
    kind: one
    for one in get_args(AnyStrategy)
    for kind in get_args(one.model_fields["kind"].annotation)
}


class Row(Struct, frozen=True):
    """Two values of a key: `base` with `one` of it, and with `other`.

    Args:
        view: what the market looks like of which a ladder is made; None: the whole engine runs.
    """

    one: object
    other: object
    base: Told = {}
    view: Mapping[str, int] | None = None
    then: Told = {}  # what the other value alone may have beside it


def seen(**view: int) -> Mapping[str, int]:
    return view


LONG = seen(x_ppm=300_000, share_ppm=600_000)
TAKES: Told = {"rebalance_threshold": "1%", "rebalance_exit": "0.1%"}
ROWS: dict[str, Row] = {
    # Every strategy.
    "target_base": Row("50%", "30%"),
    "inventory_scale": Row("1", "0.3"),
    "qty_tolerance": Row("0%", "90%"),
    "order_age_max": Row("1h", "1s"),
    "queue_value": Row("0 ticks", "200 ticks"),
    "queue_model": Row("cautious", "log", {"queue_value": "200 ticks"}),
    "queue_power": Row(1, 8, {"queue_value": "200 ticks", "queue_model": "power"}),
    "requote_threshold": Row("0 ticks", "5bps"),
    "tolerance": Row("0 ticks", "2bps"),
    "kind": Row(None, None),  # `test_every_kind_quotes_its_own`
    # Those that quote a ladder.
    "order_amount": Row("0.1", "0.2", view=seen()),
    "num_orders": Row(3, 2, view=seen()),
    "rebalance_threshold": Row("30%", "10%", view=seen(share_ppm=700_000)),
    "rebalance_exit": Row("0.1%", "0.9%", {"rebalance_threshold": "1%"}),
    "rebalance": Row("passive", "take", TAKES),
    "rebalance_slippage": Row("10bps", "0.1bps", {**TAKES, "rebalance": "take"}),
    "rebalance_cost_max": Row("50bps", "5bps", {**TAKES, "rebalance": "take"}),
    "rebalance_wait": Row("50ms", "2s", {**TAKES, "rebalance": "take"}),
    "spacing": Row("linear", "geometric", view=seen(), then={"level_ratio": "2"}),
    "level_ratio": Row("1", "2", {"spacing": "geometric"}, seen()),
    "level_offsets": Row(
        ["0%", "1bps", "2bps"], ["0%", "1bps", "3bps"], {"spacing": "custom", "level_step": None},
        seen(),
    ),
    "level_step": Row("5bps", "6bps", view=seen()),
    "sizes": Row("flat", "pyramid", view=seen(), then={"size_step": "50%"}),
    "size_step": Row("0%", "50%", {"sizes": "pyramid"}, seen()),
    "level_amounts": Row(
        ["0.1", "0.1", "0.1"], ["0.1", "0.1", "0.2"], {"sizes": "custom"}, seen()
    ),
    "size_skew": Row("0%", "50%", view=LONG),
    "price_floor": Row("off", "100.02", view=seen()),
    "price_ceiling": Row("off", "99.98", view=seen()),
    "micro_weight": Row("0%", "100%", view=seen(micro_ppm=150)),
    "micro_cap": Row("1bps", "2bps", {"micro_weight": "100%"}, seen(micro_ppm=500)),
    "imbalance_full": Row("0%", "3bps", view=seen(imbalance_ppm=900_000)),
    "ofi_full": Row("0%", "3bps", view=seen(ofi_ppm=900_000)),
    "flow_full": Row("0%", "3bps", view=seen(flow_ppm=900_000)),
    "compression_full": Row("0%", "3bps", view=seen(compression_ppm=900_000)),
    "min_edge": Row("0%", "20bps", view=seen()),
    "fee_budget": Row("0%", "10bps", {"min_edge": "20bps"}, seen()),
    "spread_min": Row("0%", "60bps", view=seen()),
    "spread_max": Row("5bps", "100%", {"spread_min": "0%"}, seen(sigma_uticks=UTICKS)),
    # The grid.
    "spread": Row("20bps", "24bps", view=seen()),
    "skew_full": Row("0%", "5bps", view=LONG),
    "vol_factor": Row("0", "2", view=seen(sigma_uticks=5 * UTICKS)),
    "quote_rest": Row("1s", "30s", view=seen(sigma_uticks=5 * UTICKS)),
    "depth_factor": Row("0%", "5bps", view=seen(depth_lots=1, depth_mean_lots=2)),
    "inventory_widen": Row("0%", "10bps", view=LONG),
    "schedule": Row("", "00:00-01:00 20bps", view=seen()),
    "narrow_rate": Row("0%", "0.01%"),
    "refill_delay": Row("0s", "2s"),
    "ping_pong": Row(False, True),
    "hanging": Row(False, True),
    "hanging_age_max": Row("1h", "1s", {"hanging": True}),
    "hanging_distance_max": Row("0%", "8bps", {"hanging": True}),
    # The models.
    "gamma": Row("0.05", "5", view=seen(sigma_uticks=20 * UTICKS)),
    "half_factor": Row("1", "2", view=seen()),
    "skew_factor": Row("1", "3", view=seen(sigma_uticks=5 * UTICKS, x_ppm=300_000)),
    "fit_decay": Row("3bps", "9bps", view=seen()),
    "xi": Row("0%", "100%", {"gamma": "1000"}, seen()),
    "fit_arrival": Row("0.001", "5", view=seen(sigma_uticks=20 * UTICKS)),
    "horizon": Row("10s", "1h", view=seen(sigma_uticks=20 * UTICKS)),
    "horizon_mode": Row(
        "rolling", "repeating", view=seen(sigma_uticks=20 * UTICKS, now_ns=290 * 10**9)
    ),
    # One's own.
    "class": Row(f"{__name__}:Joins", f"{__name__}:Other"),
    "name": Row("joins", "other"),
    "params": Row({"away_ticks": 989}, {"away_ticks": 509}),
}  # fmt: skip
# A key that means something else to another kind.
OF_KIND: dict[tuple[str, str], Row] = {
    ("grid", "level_offsets"): Row(
        ["0%", "1bps", "2bps"],
        ["0%", "1bps", "3bps"],
        {"spacing": "custom", "level_step": None},
        seen(),
    ),
    # The grid's spread clears the fee and the edge by itself: they bind where it is shaded.
    ("grid", "min_edge"): Row("0%", "9bps", view=LONG),
    ("grid", "fee_budget"): Row("0%", "5bps", {"min_edge": "9bps"}, LONG),
    ("grid", "spread_min"): Row(
        "0%", "20bps", {"compression_full": "5bps"}, seen(compression_ppm=900_000)
    ),
    ("grid", "spread_max"): Row("20bps", "1%", view=seen(sigma_uticks=20 * UTICKS)),
    ("glft", "skew_full"): Row("2bps", "5bps", {"gamma": None}, LONG),
    ("avellaneda", "skew_full"): Row("2bps", "5bps", {"gamma": None}, LONG),
}
CASES = [
    (kind, key_of(name))
    for kind, one in MODELS.items()
    for name in one.model_fields
    if name != "kind"
]


def row(kind: str, key: str) -> Row:
    return OF_KIND.get((kind, key)) or ROWS[key]


def test_every_key_has_a_row() -> None:
    assert set(MODELS) == set(KINDS)
    known = {key_of(name) for one in MODELS.values() for name in one.model_fields}
    assert not known - set(ROWS)
    assert all((kind, key) in CASES for kind, key in OF_KIND)


def file(kind: str, told: Told) -> BotConfig:
    # Places in the queue count for nothing but where they are asked about.
    strategy = {"kind": kind, "queue_value": "0 ticks", **KINDS[kind], **told}
    return parse(
        {
            "bot": {"name": "keys", "mode": "paper"},
            "venue": [
                {
                    "name": "kraken", "quote": "BTC/USDT", "maker_fee": "0.01%",
                    "taker_fee": "0.1%", "max_spread": "5%",
                }
            ],
            "strategy": {key: value for key, value in strategy.items() if value is not None},
            "signal": {"sample": "50ms", "vol_fast": "1s", "vol_slow": "2s"},
            "risk": {
                "max_order_size": "5", "max_open_notional": "1000000", "max_inventory": "2",
                "max_drawdown": "50%", "price_collar": "20%",
            },
            "paper": {"base": "10", "quote": "1000", "latency": "5ms"},
        }
    )  # fmt: skip


# ------------------------------------------------------------------------ by the ladder

MARKET = VIEW | {"base_lots": 10**10, "quote_lots_max": 10**10}


@pytest.mark.parametrize(("kind", "key"), [one for one in CASES if row(*one).view is not None])
def test_key_changes_the_ladder(kind: str, key: str) -> None:
    one = row(kind, key)
    view = MARKET | dict(one.view or {})
    ladders = []
    for told in ({key: one.one}, {key: one.other, **one.then}):
        fields = strategy_params(file(kind, {**one.base, **told}), PAIR)
        made, _ = compiled.ladder(kind, view, fields, PAIR)
        ladders.append((made["bids"], made["asks"]))
    assert any(ladders[0])
    assert ladders[0] != ladders[1]


# ------------------------------------------------------------------------ by the orders

HALF = 11  # cents: the best prices stand that far from the mid


def at(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def moved(at_ms: int, cents: int, was: int) -> tuple[int, dict[str, object]]:
    """Move both best prices to a mid, from another."""
    bids: Rows = [(at(was - HALF), "0"), (at(cents - HALF), "3.00000")]
    asks: Rows = [(at(was + HALF), "0"), (at(cents + HALF), "3.00000")]
    return levels(at_ms, bids, asks)


MID = 1_000_000
DEEP = [
    *range(250, 500),
    *range(900, 2_300, 20),
]  # cents off the first mid: orders of others among which ours rest
# Still, then in small steps, then fills of each side, then away and back, then still.
PATH = (
    [(ms, 0) for ms in range(100, 2_000, 100)]
    + [(2_000 + 200 * n, (n * 7 % 11) * 20) for n in range(10)]
    + [(4_000 + 100 * n, 0 if n < 4 else -100) for n in range(22)]
    + [(6_500, 1_500), (6_800, -1_500), (7_100, 3_000)]
    + [(7_500 + 100 * n, n % 2) for n in range(15)]
)
TRADES = [
    (4_250, MID - 2_200, "sell", "0.15000"), (5_850, MID + 2_200, "buy", "0.45000"),
    (6_050, MID - 2_200, "sell", "0.10000"),
]  # fmt: skip


def deep(at_ms: int, qty: str) -> tuple[int, dict[str, object]]:
    """Tell the orders of others away from the best prices."""
    return levels(
        at_ms, [(at(MID - off), qty) for off in DEEP], [(at(MID + off), qty) for off in DEEP]
    )


def market(folder: Path) -> Stream:
    messages = [
        copy(0, [(at(MID - HALF), "3.00000")], [(at(MID + HALF), "3.00000")]),
        # Who joins behind us and leaves again may have left before us: so the models differ.
        deep(10, "8.00000"), deep(1_000, "30.00000"), deep(1_950, "9.00000"),
        deep(2_950, "1.00000"), deep(4_050, "0"),
    ]  # fmt: skip
    was = MID
    for ms, off in PATH:
        if MID + off == was:
            messages.append(levels(ms, [("9000.01", f"{1 + ms // 100 % 2}.00000")]))
        else:
            messages.append(moved(ms, MID + off, was))
        was = MID + off
    messages += [trade(ms, at(price), qty, taker) for ms, price, taker, qty in TRADES]
    return recorded(written(folder / "market.gz", messages))


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"from {__name__} import Joins, Other\n"
    points = {"joins": "joining:Joins", "other": "joining:Other"}
    install(tmp_path / "site", monkeypatch, points, source, "joining")


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    return market(tmp_path_factory.mktemp("market"))


Action = tuple[int, int, int, int, int]  # when, what, side, price_ticks, qty_lots


def orders(config: BotConfig, stream: Stream) -> list[Action]:
    """Run a bot over the market; return what it asked of the venue, and when."""
    one = stream.instrument("kraken")
    started_ns, mid_ticks = stream.opening(one)
    tape = Tape(None, size_bytes=1 << 22, session_id="keys", follow=False)
    rerun = Rerun(
        placed_in(config, one, mid_ticks), [one], [stream], tape, session_id="keys",
        started_ns=started_ns, mid_ticks=mid_ticks,
    )  # fmt: skip
    due_ns = 0
    for record in stream.records:
        while rerun.is_quoting and due_ns <= record.recv_ns:
            rerun.on_timer(due_ns)
            due_ns += TICK_NS
        rerun.on_frame(0, record.data, record.recv_ns)
        if not rerun.is_quoting and rerun.is_ready:
            rerun.quote(record.recv_ns)
            due_ns = record.recv_ns + TICK_NS
    found = []
    for entry in (JournalRecord(*told) for told in tape.records()):
        if entry.kind == Record.REC_INTENT:
            act = read_intent(entry.payload).action
            found.append((entry.ts_ns, act.kind, act.side, act.price_ticks, act.qty_lots))
    return found


@pytest.mark.parametrize(("kind", "key"), [one for one in CASES if row(*one).view is None], ids=str)
def test_key_changes_the_orders(stream: Stream, kind: str, key: str) -> None:
    one = row(kind, key)
    first, second = (
        orders(file(kind, {**one.base, **told}), stream)
        for told in ({key: one.one}, {key: one.other, **one.then})
    )
    assert len(first) > 10
    assert first != second


def test_every_kind_quotes_its_own(stream: Stream) -> None:
    made = {kind: orders(file(kind, {}), stream) for kind in KINDS}
    # The plug-in is the very class.
    assert made.pop("plugin") == made["python"]
    assert len({tuple(one) for one in made.values()}) == len(made) == 4
    # Nothing else than the key may make a difference.
    assert orders(file("grid", {}), stream) == made["grid"]
