"""The grid strategy: parameters set live, state kept, ladder as the kernel makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm._fast.orders import Lane
from openmm._fast.quotes import QuoteClamp
from openmm._fast.units import Side
from openmm.strategy.grid import GridStrategy, grid_ladder
from openmm.strategy.parameters import GridParameters
from tests._fast.test_quotes import GRID, PAIR, PPM, UTICKS, VIEW, spec_of
from tests.oracles import quotes as oracle

PARAMETERS = GridParameters(**GRID)


def test_ladder_is_the_kernels() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    view = VIEW | {"x_ppm": 123_456, "flow_ppm": -400_000}
    quoting, ladder = strategy.quote(view)
    assert (quoting, strategy.one_sided, ladder) == grid_ladder(view, GRID, PAIR)
    assert quoting == 1


def test_parameters_set_live_make_the_next_ladder() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    _, before = strategy.quote(VIEW)
    strategy.params = replace(strategy.params, spread_ppm=4_000, num_orders=5)
    _, after = strategy.quote(VIEW)
    assert before["half_uticks"] * 2 == after["half_uticks"]
    assert (len(before["bids"]), len(after["bids"])) == (3, 5)
    assert strategy.params.num_orders == 5


@pytest.mark.parametrize("value", [None, GRID, 5])
def test_anything_but_parameters_is_refused_and_changes_nothing(value: Any) -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    with pytest.raises(TypeError, match="GridParameters"):
        strategy.params = value
    assert strategy.params is PARAMETERS
    assert strategy.quote(VIEW)[0] == 1


def test_one_sided_state_is_kept_between_ladders() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    assert strategy.one_sided == 0
    strategy.quote(VIEW | {"share_ppm": 700_000})
    assert strategy.one_sided == 1
    _, ladder = strategy.quote(VIEW | {"share_ppm": 560_000})
    assert (strategy.one_sided, ladder["bids"]) == (1, [])
    strategy.quote(VIEW)
    assert strategy.one_sided == 0


# ------------------------------------------------------------------------ state: narrowing, waiting

SECOND = 1_000_000_000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 60), st.integers(-999_999, 0)),
        min_size=1, max_size=12,
    ),
    st.sampled_from([0, 1, 100, 2_000]),
    st.sampled_from([100_000, 1_500, 1]),
)  # fmt: skip
def test_spread_widens_at_once_and_narrows_no_faster_than_it_may(
    steps: list[tuple[int, int, int]], narrow_ppm: int, half_max_ppm: int
) -> None:
    told = replace(PARAMETERS, narrow_ppm=narrow_ppm, vol_ppm=PPM, half_max_ppm=half_max_ppm)
    strategy = GridStrategy(PAIR, told)
    now_ns, before = 0, None
    for wait_ns, sigma_ticks, off_uticks in steps:
        now_ns += wait_ns
        view = VIEW | {
            "now_ns": now_ns, "sigma_uticks": sigma_ticks * UTICKS,
            "reference_uticks": VIEW["reference_uticks"] + off_uticks,
        }  # fmt: skip
        anchor = strategy.state["anchor"]
        _, ladder = strategy.quote(view)
        wanted = oracle.ladder(view, told.fields(), spec_of(PAIR), anchor=anchor)
        assert {name: wanted[name] for name in ladder} == ladder
        assert strategy.state["anchor"] == wanted["anchor"]
        _, plain = GridStrategy(PAIR, replace(told, narrow_ppm=0)).quote(view)
        half = ladder["half_uticks"]
        assert half >= plain["half_uticks"]
        assert half - ladder["widen_held_uticks"] == plain["half_uticks"]
        if before is not None and narrow_ppm:
            fallen = VIEW["reference_uticks"] * narrow_ppm * wait_ns // (PPM * SECOND)
            most = max(1, view["reference_uticks"] * half_max_ppm // PPM)
            assert half >= min(before - fallen - 1, most)
        before = half


def test_narrowing_is_looked_at_though_nothing_moves_and_ends() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, narrow_ppm=1_000, vol_ppm=PPM))
    strategy.quote(VIEW | {"sigma_uticks": 10 * UTICKS})
    wakes = [strategy.wake_ns]
    _, ladder = strategy.quote(VIEW | {"now_ns": SECOND})
    assert ladder["half_uticks"] == 20 * UTICKS  # 30 ticks, less 10 a second
    assert ladder["clamps"] & QuoteClamp.CLAMP_NARROW
    wakes.append(strategy.wake_ns)
    _, ladder = strategy.quote(VIEW | {"now_ns": 2 * SECOND})
    assert ladder["half_uticks"] == 10 * UTICKS
    assert [*wakes, strategy.wake_ns] == [None, SECOND + SECOND // 4, None]


@pytest.mark.parametrize(
    ("at", "half_ticks", "wake"),
    [
        ("20:59:59.9", 10, "21:00"), ("21:00", 13, "22:00"), ("22:30", 15, "23:00"),
        ("23:00", 13, "23:30"),
        ("23:30", 10, "23:50"), ("23:55", 17, "24:00"), ("24:02", 17, "24:10"),
        ("24:10", 10, "45:00"),
    ],
)  # fmt: skip
def test_window_of_the_day_widens_and_wakes_at_its_ends(
    at: str, half_ticks: int, wake: str
) -> None:
    hour = 3_600
    schedule = (
        (21 * hour, 23 * hour + 1_800, 300, 0), (22 * hour, 23 * hour, 500, 0),
        (23 * hour + 3_000, 600, 700, 0), (0, 24 * hour, 0, 0),
    )  # fmt: skip
    strategy = GridStrategy(PAIR, replace(PARAMETERS, schedule=schedule))
    _, ladder = strategy.quote(VIEW | {"now_ns": moment(at)})
    assert ladder["half_uticks"] == half_ticks * UTICKS
    assert ladder["widen_schedule_uticks"] == (half_ticks - 10) * UTICKS
    assert strategy.wake_ns == moment(wake)


def moment(text: str) -> int:
    """Nanoseconds of a time on some day, 24:00 and later being the next."""
    hours, minutes, *rest = text.split(":")
    seconds = float(rest[0]) if rest else 0.0
    return 20_000 * 86_400 * SECOND + int(
        (int(hours) * 3_600 + int(minutes) * 60 + seconds) * SECOND
    )


def test_quiet_window_quotes_nothing() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, schedule=((60, 120, 0, 1),)))
    assert strategy.quote(VIEW | {"now_ns": 59 * SECOND})[0] == 1
    quoting, ladder = strategy.quote(VIEW | {"now_ns": 60 * SECOND})
    assert (quoting, ladder["bids"], ladder["centre_uticks"]) == (0, [], 0)
    assert strategy.quote(VIEW | {"now_ns": 120 * SECOND})[0] == 1


def test_level_that_was_filled_waits_and_the_others_stay_where_they_are() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, refill_ns=5 * SECOND))
    _, before = strategy.quote(VIEW)
    assert strategy.filled(Side.BUY, 1, 10_000_000, done=True, now_ns=0) is None
    _, ladder = strategy.quote(VIEW | {"now_ns": SECOND})
    assert ladder["bids"] == [before["bids"][0], before["bids"][2]]
    assert ladder["asks"] == before["asks"]
    assert (ladder["quoted_bids"], strategy.wake_ns) == (0b101, 5 * SECOND)
    strategy.filled(Side.BUY, 2, 10_000_000, done=True, now_ns=2 * SECOND)
    _, ladder = strategy.quote(VIEW | {"now_ns": 5 * SECOND})
    assert (ladder["bids"], strategy.wake_ns) == (before["bids"][:2], 7 * SECOND)
    assert strategy.quote(VIEW | {"now_ns": 7 * SECOND})[1]["bids"] == before["bids"]
    assert strategy.wake_ns is None


def test_without_a_delay_a_level_is_quoted_again_at_once() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    _, before = strategy.quote(VIEW)
    strategy.filled(Side.BUY, 0, 10_000_000, done=True, now_ns=0)
    assert strategy.quote(VIEW)[1] == before


def test_parts_of_an_order_that_is_topped_up_fill_its_level_once_they_come_to_as_much() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, refill_ns=SECOND))
    strategy.quote(VIEW)
    strategy.filled(Side.SELL, 0, 6_000_000, done=False, now_ns=0)
    assert len(strategy.quote(VIEW)[1]["asks"]) == 3
    strategy.filled(Side.SELL, 0, 4_000_000, done=False, now_ns=0)
    assert len(strategy.quote(VIEW)[1]["asks"]) == 2


def test_ping_pong_quotes_a_level_again_when_its_other_side_was_filled() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, ping_pong=1))
    _, whole = strategy.quote(VIEW)
    strategy.filled(Side.BUY, 0, 10_000_000, done=True, now_ns=0)
    strategy.filled(Side.BUY, 2, 10_000_000, done=True, now_ns=0)
    assert strategy.quote(VIEW)[1]["quoted_bids"] == 0b010
    strategy.filled(Side.SELL, 2, 10_000_000, done=True, now_ns=0)
    _, ladder = strategy.quote(VIEW)
    assert (ladder["quoted_bids"], ladder["quoted_asks"]) == (0b110, 0b011)
    strategy.params = replace(strategy.params, ping_pong=0)
    assert strategy.quote(VIEW)[1] == whole


def test_nothing_waits_for_the_fills_of_a_side_that_is_off() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, ping_pong=1, narrow_ppm=10))
    strategy.quote(VIEW)
    strategy.filled(Side.SELL, 0, 10_000_000, done=True, now_ns=0)
    assert strategy.quote(VIEW)[1]["quoted_asks"] == 0b110
    for off in ({"allow_bid": 0}, {"share_ppm": 700_000}, {"x_ppm": PPM}):
        assert strategy.quote(VIEW | off)[1]["quoted_asks"] == 0b111
        # What is sold while nothing may be bought waits for nothing, then or when bids are back.
        strategy.filled(Side.SELL, 1, 10_000_000, done=True, now_ns=0)
        assert strategy.quote(VIEW | off)[1]["quoted_asks"] == 0b111
        ladder = strategy.quote(VIEW)[1]
        assert (ladder["quoted_bids"], ladder["quoted_asks"]) == (0b111, 0b111)
        strategy.filled(Side.SELL, 0, 10_000_000, done=True, now_ns=0)
        assert strategy.quote(VIEW)[1]["quoted_asks"] == 0b110


def test_what_waits_is_taken_over_by_a_fresh_strategy() -> None:
    told = replace(PARAMETERS, ping_pong=1, refill_ns=5 * SECOND)
    before, after = GridStrategy(PAIR, told), GridStrategy(PAIR, told)
    before.quote(VIEW)
    before.filled(Side.BUY, 0, 10_000_000, done=True, now_ns=0)
    before.filled(Side.SELL, 1, 4_000_000, done=False, now_ns=0)
    after.waits = json.loads(json.dumps(before.waits))
    assert after.waits == before.waits
    _, ladder = after.quote(VIEW)
    assert (ladder["quoted_bids"], after.wake_ns) == (0b110, 5 * SECOND)
    after.filled(Side.SELL, 1, 6_000_000, done=False, now_ns=0)
    assert after.quote(VIEW)[1]["quoted_asks"] == 0b101
    # What is switched off by now keeps nothing back.
    plain = GridStrategy(PAIR, PARAMETERS)
    plain.waits = before.waits
    assert plain.quote(VIEW)[1]["quoted_bids"] == 0b111


@pytest.mark.parametrize(
    ("part", "value"), [(0, [1]), (0, [-1, 0]), (1, [0] * 63), (1, [-1] * 64), (2, ["1"] * 64)]
)
def test_what_is_no_account_of_waits_is_refused(part: int, value: list[Any]) -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    told = [list(one) for one in strategy.waits]
    told[part] = value
    with pytest.raises((ValueError, OverflowError)):
        strategy.waits = told
    assert strategy.waits == GridStrategy(PAIR, PARAMETERS).waits


def test_other_sides_order_hangs_and_its_level_is_not_quoted_beside_it() -> None:
    strategy = GridStrategy(PAIR, replace(PARAMETERS, hanging=1))
    strategy.quote(VIEW | {"hanging_asks": 0b001})
    # Of the asks level 0 hangs already.
    assert strategy.filled(Side.BUY, 0, 10_000_000, done=True, now_ns=0) is None
    lane = Lane.LANE_HANGING + 2
    assert strategy.filled(Side.BUY, 2, 10_000_000, done=True, now_ns=0) == (lane, 2)
    _, ladder = strategy.quote(VIEW | {"hanging_asks": 0b101, "base_lots": 25_000_000})
    assert (ladder["quoted_bids"], ladder["quoted_asks"]) == (0b111, 0b010)
    assert [lots for _, lots in ladder["asks"]] == [10_000_000]
    # A fill of what hangs lets nothing hang.
    assert strategy.filled(Side.SELL, lane, 10_000_000, done=True, now_ns=0) is None


fills = st.tuples(
    st.sampled_from([Side.BUY, Side.SELL]), st.integers(0, 3), st.booleans(),
    st.integers(0, 2 * SECOND),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(fills, max_size=20), st.booleans(), st.sampled_from([0, SECOND]), st.booleans())
def test_levels_wait_as_a_plain_account_of_the_fills_says(
    told: list[tuple[Side, int, bool, int]], ping_pong: bool, refill_ns: int, hanging: bool
) -> None:
    strategy = GridStrategy(
        PAIR,
        replace(PARAMETERS, ping_pong=int(ping_pong), refill_ns=refill_ns, hanging=int(hanging)),
    )
    account = Waits(PARAMETERS.num_orders, ping_pong, refill_ns, hanging)
    now_ns = 0
    quoted = account.quoted(now_ns)
    for side, level, hung, wait_ns in told:
        view = VIEW | {"now_ns": now_ns}
        view |= {"hanging_bids": account.mask(Side.BUY), "hanging_asks": account.mask(Side.SELL)}
        _, ladder = strategy.quote(view)
        quoted = account.quoted(now_ns)
        assert (ladder["quoted_bids"], ladder["quoted_asks"]) == (
            sum(1 << level for level in quoted[Side.BUY]),
            sum(1 << level for level in quoted[Side.SELL]),
        )
        assert (
            ladder
            == grid_ladder(view, strategy.params.fields(), PAIR, held=strategy.state["held"])[2]
        )
        if hung and account.hangs[side]:
            level = min(account.hangs[side])
            lane = int(Lane.LANE_HANGING)
        elif level < account.count:
            # Also of a level that the last ladder left out: its order may race its cancel.
            lane, hung = 0, False
        else:
            continue
        made = strategy.filled(side, lane + level, 10_000_000, done=True, now_ns=now_ns)
        assert made == account.fill(side, level, lane > 0, now_ns, quoted)
        now_ns += wait_ns


class Waits:
    """Which levels wait, in sets: the specification of holding levels back."""

    def __init__(self, count: int, ping_pong: bool, refill_ns: int, hanging: bool) -> None:
        self.count, self.ping_pong, self.refill_ns, self.hanging = (
            count, ping_pong, refill_ns, hanging,
        )  # fmt: skip
        self.until: dict[tuple[Side, int], int] = {}
        self.waiting: set[tuple[Side, int]] = set()
        self.hangs: dict[Side, set[int]] = {Side.BUY: set(), Side.SELL: set()}

    def mask(self, side: Side) -> int:
        return sum(1 << level for level in self.hangs[side])

    def quoted(self, now_ns: int) -> dict[Side, list[int]]:
        return {
            side: [
                level for level in range(self.count)
                if (side, level) not in self.waiting and level not in self.hangs[side]
                and now_ns >= self.until.get((side, level), 0)
            ]
            for side in (Side.BUY, Side.SELL)
        }  # fmt: skip

    def fill(
        self, side: Side, level: int, hung: bool, now_ns: int, quoted: dict[Side, list[int]]
    ) -> tuple[int, int] | None:
        other = Side.SELL if side is Side.BUY else Side.BUY
        self.until[side, level] = now_ns + self.refill_ns
        if self.ping_pong:
            self.waiting.add((side, level))
            self.waiting.discard((other, level))
        if hung:
            self.hangs[side].remove(level)
        elif self.hanging and level in quoted[other]:
            self.hangs[other].add(level)
            return Lane.LANE_HANGING + level, level
        return None
