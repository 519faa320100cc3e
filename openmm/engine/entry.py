"""The one way into the slow path: calls of `Step` that are on the tape before they act.

A method marked `entry` writes its name and arguments as a REC_CALL record, stamped with its last
argument, and only then runs. A replay reads the record and calls the same method. What a method
does must follow from its arguments and the tables alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, wraps
from types import FunctionType, GenericAlias
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, cast, get_type_hints

import msgspec

from openmm._fast.pipeline import Pipeline
from openmm._fast.tape import Record
from openmm.errors import JournalError

CALL_SOURCE: Final = 0
_MARK: Final = "_openmm_entry"
_encode: Final = msgspec.json.Encoder().encode


class Entered(Protocol):
    """What has entries: an object over the tables of one bot."""

    @property
    def pipeline(self) -> Pipeline:
        """Holds the tape."""
        ...


S = TypeVar("S", bound=Entered)
P = ParamSpec("P")
R = TypeVar("R")


def entry(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Mark a method whose calls are inputs; its last parameter is `now_ns`, all are positional."""
    name = method.__name__
    # Not by inspect.signature, which takes as long as all else that happens here.
    code = cast("FunctionType", method).__code__
    names = code.co_varnames[: code.co_argcount]
    assert names[-1] == "now_ns", f"{name}: an entry ends with now_ns"
    count = len(names) - 1

    @wraps(method)
    def enter(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs or len(args) != count:
            raise TypeError(f"{name}() takes {', '.join(names[1:])} by position")
        now_ns = cast("int", args[-1])
        self.pipeline.append(Record.REC_CALL, CALL_SOURCE, now_ns, _encode((name, *args[:-1])))
        return method(self, *args, **kwargs)

    setattr(enter, _MARK, True)
    return cast("Callable[Concatenate[S, P], R]", enter)


def is_entry(method: object) -> bool:
    """Whether calls of a method are on the tape."""
    return bool(getattr(method, _MARK, False))


@lru_cache
def _types(cls: type, name: str) -> tuple[Any, ...]:
    """Return the types of an entry's arguments, without `now_ns`."""
    method = getattr(cls, name, None)
    if method is None or not is_entry(method):
        raise JournalError(f"the journal calls {name!r}, which this build does not have")
    hints = get_type_hints(method)
    return tuple(hints[one] for one in list(inspect.signature(method).parameters)[1:-1])


def read_call(cls: type, payload: bytes) -> tuple[str, tuple[Any, ...]]:
    """Read a REC_CALL record of one of the class's entries: its name, its arguments.

    Raises:
        JournalError: no such entry, or arguments of another form.
    """
    try:
        name, *raw = msgspec.json.decode(payload, type=list[Any])
        types = _types(cls, name)
        if len(raw) != len(types):
            raise JournalError(f"a call of {name} has {len(raw)} arguments instead of {len(types)}")
        # JSON: decimals, enums and tuples come back as what the signature says.
        whole = GenericAlias(tuple, (str, *types))
        args: tuple[Any, ...] = msgspec.json.decode(payload, type=whole)[1:]
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise JournalError(f"call record cannot be read: {error}") from error
    return name, args
