"""What a backtest assumes of the venue, and the file that says it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, final

import msgspec
from msgspec import Meta, Struct

from openmm._fast.queue import QueueModel
from openmm.errors import ConfigError
from openmm.whole import SHARED, write_whole

MS: Final = 1_000_000
SECOND: Final = 1000 * MS
DELAY_NS_MAX: Final = 60 * SECOND
SPAN_NS_MAX: Final = 3600 * SECOND
CADENCE_NS_MIN: Final = 10_000
RATE_MAX: Final = 1_000_000
DELAYS_MAX: Final = 1_000_000
MOMENT_NS_MAX: Final = 1 << 62
QUEUES: Final = {
    "careful": QueueModel.QUEUE_CAUTIOUS, "power": QueueModel.QUEUE_POWER,
    "log": QueueModel.QUEUE_LOG,
}  # fmt: skip

Delay = Annotated[int, Meta(ge=0, le=DELAY_NS_MAX)]
Delays = Annotated[tuple[Delay, ...], Meta(min_length=1, max_length=DELAYS_MAX)]
Moments = Annotated[
    tuple[Annotated[int, Meta(ge=0, le=MOMENT_NS_MAX)], ...], Meta(max_length=DELAYS_MAX)
]
Span = Annotated[int, Meta(ge=0, le=SPAN_NS_MAX)]


@final
class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """Assumptions, ns each; the venue sees the market when we do.

    Args:
        queue: who leaves a level when quantity goes that no trade took: "careful", always those
            behind us; "power" and "log", by share (`_fast.queue.QueueModel`).
        power: of the queue model "power", 1 to 8.
        orders_ns: delays of requests on their way to the venue, in turn; one is a constant.
        answers_ns: the same of what the venue says.
        orders_from_ns: when each of `orders_ns` was measured, ascending: instead of in turn an
            order action that leaves at that moment takes it, of several of one moment each the
            next, and what leaves later takes the last one before it. Empty: in turn, one for all
            actions that were decided at once.
        answers_from_ns: the same of `answers_ns`, by when the venue gives an answer.
        seed: not 0: spells of 32 delays are drawn from the lists, the same ones for the same seed.
        every_ns: decide at this cadence, 10 us at least; 0: with every read, after each answer and
            at the timer.
        timer_ns: of the slow path, which looks at everything afresh; 0: it does not.
        impact_ns: what we took of a level stays missing for so long whatever the recording says
            of it; 0: until it is told again.
        as_received: the venue has a trade when we have it, though a book that holds it was received
            before.
        rate_threshold: of the venue's counter of requests, as an account's tier has it; None: as of
            paper mode's account.
    """

    queue: str = "careful"
    power: Annotated[int, Meta(ge=1, le=8)] = 3
    orders_ns: Delays = (20 * MS,)
    answers_ns: Delays = (20 * MS,)
    orders_from_ns: Moments = ()
    answers_from_ns: Moments = ()
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    every_ns: Span = 0
    timer_ns: Span = 50 * MS
    impact_ns: Span = 0
    as_received: bool = False
    rate_threshold: Annotated[int, Meta(ge=1, le=RATE_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse what the kernel could not run, however it was made."""
        if self.queue not in QUEUES:
            raise ValueError(f"queue must be one of {', '.join(QUEUES)}: {self.queue}")
        for name in ("every_ns", "timer_ns"):
            span_ns = getattr(self, name)
            if span_ns and not CADENCE_NS_MIN <= span_ns <= SPAN_NS_MAX:
                raise ValueError(
                    f"{name} must be 0, or {CADENCE_NS_MIN} to {SPAN_NS_MAX}: {span_ns}"
                )
        for name in ("orders_ns", "answers_ns"):
            delays = getattr(self, name)
            if not delays or not 0 <= min(delays) <= max(delays) <= DELAY_NS_MAX:
                raise ValueError(f"{name} must be delays of 0 to {DELAY_NS_MAX}, one at least")
        for delays, name in (
            (self.orders_ns, "orders_from_ns"), (self.answers_ns, "answers_from_ns")
        ):  # fmt: skip
            moments = getattr(self, name)
            if not moments:
                continue
            if len(moments) != len(delays) or any(a > b for a, b in pairwise(moments)):
                raise ValueError(f"{name} must be one a delay, {len(delays)}, ascending")
            if moments[0] < 0 or moments[-1] > MOMENT_NS_MAX:
                raise ValueError(f"{name} must be moments of 0 to {MOMENT_NS_MAX}")
            if self.seed:
                raise ValueError(f"{name} and a seed: delays are drawn, or each is of its moment")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made

    def save(self, path: Path) -> None:
        """Write it as JSON, all of it or nothing.

        Raises:
            OSError: it cannot be written.
        """
        text = msgspec.json.format(msgspec.json.encode(self)) + b"\n"
        write_whole(path, text, mode=SHARED)


def load(path: Path) -> Model:
    """Read a model's file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Model)
    except OSError as error:
        raise ConfigError("model", str(path), f"a file that can be read ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError("model", str(path), f"a model file ({error})") from error
