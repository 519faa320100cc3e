"""What a replay made that its journal does not hold, told so that a person can find the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import JournalError
from openmm.journal import JournalRecord

TEXT_CHARS_MAX: Final = 400
_WITH_ORDER: Final = frozenset(
    {Record.REC_INTENT, Record.REC_TRANSITION, Record.REC_FILL, Record.REC_REFUSAL}
)

Fields = dict[str, Any]


class Difference(Struct, frozen=True):
    """The first record that is not what the replay made of the same inputs."""

    record_index: int  # where in the journal
    ts_ns: int
    text: str  # one line
    kind: str  # of the record, by the journal; by the replay where that made one more
    journal: Fields | None  # the fields that differ, or all of a record that only one side has
    replay: Fields | None
    input_index: int  # of the input that both followed
    input_kind: str
    order_seq: int = 0  # the order it is about, or the next one that it leads to; 0: none
    client_id: str = ""
    error: str = ""  # what the replay stumbled over just before, if it did


def compared(
    held: JournalRecord | None,
    made: JournalRecord | None,
    follow: Sequence[JournalRecord],
    cause: JournalRecord,
    client_id: Callable[[int], str],
    error: str = "",
) -> Difference:
    """Describe a difference; one side may be missing.

    Args:
        held, made: the journal's record and the replay's.
        follow: records of either side from this one on: they tell which order it is about.
        cause: the input.
        client_id: from an order's sequence.
    """
    here = held or made
    assert here is not None, "a difference has at least one side"
    kind = name_of(here.kind)
    theirs, ours = _fields(held), _fields(made)
    if held is None:
        text = f"the replay makes a record {kind} that the journal lacks"
    elif made is None:
        text = f"the journal holds a record {kind} that the replay does not make"
    elif held.kind != made.kind:
        text = f"the journal holds {kind}, the replay makes {name_of(made.kind)}"
    else:
        names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
        theirs = {name: theirs.get(name) for name in names}
        ours = {name: ours.get(name) for name in names}
        text = f"{kind} differs in {', '.join(names) or 'its bytes'}"
    seq = next((found for found in map(order_of, follow) if found), 0)
    index = cause.record_index if held is None else held.record_index
    return Difference(
        index, here.ts_ns, text, kind, None if held is None else theirs,
        None if made is None else ours, cause.record_index, name_of(cause.kind), seq,
        client_id(seq) if seq else "", error,
    )  # fmt: skip


def name_of(kind: int) -> str:
    """Name a kind of record as people read it: `order bytes`."""
    try:
        return Record(kind).name.removeprefix("REC_").lower().replace("_", " ")
    except ValueError:
        return f"kind {kind}"


def order_of(record: JournalRecord) -> int:
    """Return the sequence of the order that a record is about, 0 where it is about none."""
    if record.kind not in _WITH_ORDER:
        return 0
    try:
        told = journal.read_payload(record)
    except JournalError:
        return 0  # an edited one: what it should be tells
    seq: int = getattr(getattr(told, "action", told), "seq", 0)
    return seq


def _fields(record: JournalRecord | None) -> Fields:
    if record is None:
        return {}
    try:
        told = journal.read_payload(record)
    except JournalError as error:
        told = f"unreadable: {error}"
    fields: Fields = {"record.source": record.source, "record.ts_ns": record.ts_ns}
    if record.kind == Record.REC_WRITE_RESULT:
        return fields | {"result": int.from_bytes(record.payload, "little", signed=True)}
    _flatten(told, "", fields)
    return fields


def _flatten(value: object, name: str, into: Fields) -> None:
    if isinstance(value, Struct):
        value = asdict(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        for key, one in value.items():
            _flatten(one, f"{name}.{key}" if name else str(key), into)
        return
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        value = f"{value[:TEXT_CHARS_MAX]}… ({len(value)} characters)"
    into[name or "payload"] = value
