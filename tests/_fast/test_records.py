"""The binary payloads of the tape: the file format in Python is what the compiler laid out."""

from __future__ import annotations

import struct

from openmm import journal
from openmm._fast.latency import Stage
from openmm._fast.records import layouts as compiled_layouts
from openmm.journal import ActionRecord, LadderParts, LadderRecord, MarketViewRecord

VIEW = MarketViewRecord(*range(1, 33))
LADDER = LadderRecord(
    VIEW, 5, 2, ((100, 1), (99, 2)), ((103, 4),), LadderParts(-1, -2, -3, *range(4, 23)), 0, 1
)
ACTION = ActionRecord(3, 4, 1 << 63, 667_880, 1_000, 1, 2)


def test_binary_layouts_are_those_of_the_compiler() -> None:
    layouts = compiled_layouts()
    assert {name: size for name, (size, _) in layouts.items()} == journal.BINARY_BYTES
    offsets = {name: fields for name, (_, fields) in layouts.items()}

    def int64_at(payload: bytes, offset: int) -> int:
        return int(struct.unpack_from("<q", payload, offset)[0])

    def int32_at(payload: bytes, offset: int) -> int:
        return int(struct.unpack_from("<i", payload, offset)[0])

    packed = journal.ladder_record(LADDER)
    at = offsets["Ladder"]
    for field, value in VIEW._asdict().items():
        read = int32_at if field in ("allow_bid", "allow_ask", "warm", "jump_ppm") else int64_at
        assert read(packed, at[f"view.{field}"]) == value, field
    assert int32_at(packed, at["ladder.count"]) == 2
    assert int32_at(packed, at["ladder.count"] + 4) == 1
    assert int32_at(packed, at["ladder.clamps"]) == 5
    assert int64_at(packed, at["ladder.levels"]) == 100
    assert int64_at(packed, at["ladder.levels"] + 32 * 16) == 103
    assert int32_at(packed, at["ladder.sides_off"]) == 2
    for field, value in LADDER.parts._asdict().items():
        name, _, side = field.rpartition("_")
        if name in ("held", "quoted"):
            offset = at[f"ladder.{name}"] + 4 * ("bids", "asks").index(side)
            assert int32_at(packed, offset) == value, field
            continue
        if name.endswith("_bound"):
            offset = at["ladder.bound_ticks"] + 8 * ("bid", "ask").index(name.partition("_")[0])
            assert int64_at(packed, offset) == value, field
            continue
        assert int64_at(packed, at[f"ladder.{field}"]) == value, field
    assert int32_at(packed, at["one_sided_after"]) == 1
    intent = journal.intent_record(journal.IntentRecord(ACTION, 77))
    for name, packed in (
        ("Intent", intent),
        ("Refusal", journal.refusal_record(journal.RefusalRecord(ACTION, 12, 13, 14))),
    ):
        at = offsets[name]
        assert int32_at(packed, at["action.kind"]) == ACTION.kind
        assert int32_at(packed, at["action.why"]) == ACTION.why
        assert packed[at["action.seq"] :][:8] == ACTION.seq.to_bytes(8, "little")
        assert int64_at(packed, at["action.price_ticks"]) == ACTION.price_ticks
        assert int64_at(packed, at["action.qty_lots"]) == ACTION.qty_lots
        assert int32_at(packed, at["action.side"]) == ACTION.side
        assert int32_at(packed, at["action.level"]) == ACTION.level
    assert int32_at(packed, at["reason"]) == 12
    assert int64_at(packed, at["limit"]) == 13
    assert int64_at(packed, at["value"]) == 14
    assert int64_at(intent, offsets["Intent"]["rate_cost_milli"]) == 77
    packed = journal.transition_record(9, 10, 2, 3, 2, 55, 66)
    for place, field in enumerate(("event", "from_state", "to_state", "source")):
        assert int32_at(packed, offsets["Transition"][field]) == (10, 2, 3, 2)[place]
    assert int64_at(packed, offsets["Transition"]["price_ticks"]) == 55
    assert int64_at(packed, offsets["Transition"]["qty_lots"]) == 66
    packed = journal.book_record(journal.BookRecord(3, 2, 5, 6, 7))
    assert [int32_at(packed, offsets["Book"][f]) for f in ("state", "reason")] == [3, 2]
    fields = ("best_bid_ticks", "best_ask_ticks", "break_count")
    assert [int64_at(packed, offsets["Book"][f]) for f in fields] == [5, 6, 7]


def test_stages_are_those_of_the_latency_kernel() -> None:
    assert int(Stage.STAGE_COUNT) == journal.STAGES
