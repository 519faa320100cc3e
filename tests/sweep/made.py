"""Sweeps for the tests: a bot's file, a market, and runners that do what a test needs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from openmm.backtest.columns import events_of
from openmm.data import store
from openmm.data.events import Events
from openmm.errors import ConfigError, OpenMMError
from openmm.rerun.streams import synthetic
from openmm.sweep.figures import Figures, Moments, moments_of
from openmm.sweep.plan import Job, Part, Span, Spec
from openmm.sweep.space import Point
from openmm.sweep.store import Result
from openmm.sweep.worker import Runner

NS = 1_000_000_000
START_NS = 1_750_000_000 * NS
BOT = """\
[bot]
name = "swept"
mode = "paper"
[[venue]]
name = "kraken"
quote = "BTC/USD"
maker_fee = "0.01%"
taker_fee = "0.1%"
[strategy]
kind = "grid"
spread = "2.5bps"
level_step = "1bps"
order_amount = "0.01"
num_orders = 2
rebalance_threshold = "20%"
target_base = "50%"
vol_factor = "0.2"
[risk]
max_order_size = "0.05"
max_open_notional = "50000"
max_inventory = "0.3"
max_drawdown = "5%"
[paper]
base = "1"
quote = "60000"
latency = "20ms"
"""


def market(seconds: int = 120, seed: int = 2) -> Events:
    """Return a synthetic market as columns."""
    return events_of(synthetic("thin", seed, seconds))


def market_file(folder: Path, seconds: int = 120, seed: int = 2) -> Path:
    """Write it into a folder."""
    path = folder / f"market{seed}.omd"
    store.write(path, market(seconds, seed))
    return path


def bot_file(folder: Path, text: str = BOT) -> Path:
    """Write the bot's file into a folder."""
    path = folder / "bot.toml"
    path.write_text(text)
    return path


def span(place: int, name: str = "made", slice_: int | None = None, slices: int = 1) -> Span:
    """Return a span of no file, a minute a slice."""
    start_ns = START_NS + place * 60 * NS
    part = Part(f"{name}{place}.omd", f"{name}{place}", f"made {name}/USD", 1)
    cuts = tuple(start_ns + at * 60 * NS for at in range(1, slices))
    end_ns = start_ns + slices * 60 * NS
    return Span(place if slice_ is None else slice_, start_ns, end_ns, (part,), cuts)


def job(runner: str, spans: int = 1, folder: str = "", slices: int = 1) -> Job:
    """Return a job that a runner of this file does."""
    every = tuple(span(place * slices, slices=slices) for place in range(spans))
    return Job(BOT, folder, {}, every, NS, "made", f"tests.sweep.made:{runner}")


def points(count: int) -> list[Point]:
    """Return so many combinations."""
    return [(("strategy.num_orders", str(place)),) for place in range(count)]


def sums(returns: Sequence[float]) -> Moments:
    """Return the moments of returns of a second each."""
    return moments_of(returns, len(returns) * NS)


def figures_with(
    moments: Moments, pnl: float = 0.0, fills: int = 1, halted: bool = False
) -> Figures:
    """Return figures of which these count."""
    return Figures(
        from_ns=START_NS, to_ns=START_NS + 60 * NS, net=pnl, flattened=pnl,
        spread=pnl, adverse=0.0, drift=0.0, unsplit=0.0, fees=0.0,
        volume=1.0, capital=1.0, drawdown=0.0, highest=max(pnl, 0.0), lowest=min(pnl, 0.0),
        fills=fills, maker_share=1.0, markout_100ms=None, markout_1s=None, markout_10s=None,
        markout_60s=None, least=0.0, greatest=0.0, position=0.0, quoted=1.0, one_sided=0.0,
        halted=halted, span_s=60.0, run_placed=1, run_amended=0, run_cancelled=1, run_refused=0,
        run_events=1, moments=moments, curve=[0.0, pnl],
    )  # fmt: skip


# ---------------------------------------------------------------- runners


def tiny(job: Job) -> Runner:
    """Make figures of the run's own number, in no time."""

    def run(spec: Spec) -> list[Figures]:
        returns = [((spec.trial * 7 + spec.span * 3 + at) % 11 - 5) / 1000 for at in range(40)]
        one = figures_with(sums(returns), pnl=float(spec.trial))
        return [one] * len(job.spans[spec.span].slices)

    return run


def suggested(job: Job) -> Runner:
    """Be best where strategy.x is 0.7; refuse the end of its range."""

    def run(spec: Spec) -> list[Figures]:
        x = float(dict(spec.point)["strategy.x"])
        if x > 0.95:
            raise ConfigError("strategy.x", x, "0.95 at most")
        mean = 1 - (x - 0.7) ** 2 + spec.span / 100
        return [figures_with(sums([mean - 1, mean + 1] * 20))]

    return run


def picky(job: Job) -> Runner:
    """Refuse every third combination, and fail with every fifth."""
    made = tiny(job)

    def run(spec: Spec) -> list[Figures]:
        if spec.trial % 3 == 0:
            raise ConfigError("strategy.num_orders", spec.trial, "no multiple of 3")
        if spec.trial % 5 == 0:
            raise OpenMMError("the data has no book")
        return made(spec)

    return run


def deadly_once(job: Job) -> Runner:
    """End the process at the third combination, the first time that one is run."""
    made = tiny(job)

    def run(spec: Spec) -> list[Figures]:
        mark = Path(job.folder) / f"ran{spec.trial}"
        if spec.trial == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return made(spec)

    return run


def deadly(job: Job) -> Runner:
    """End the process at the third combination, each time; at the fifth raise what none should."""
    made = tiny(job)

    def run(spec: Spec) -> list[Figures]:
        if spec.trial == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.trial == 4:
            raise ZeroDivisionError("a fault of the program")
        return made(spec)

    return run


def fatal(job: Job) -> Runner:
    """Raise what no run should, each time."""

    def run(spec: Spec) -> list[Figures]:
        raise ZeroDivisionError(f"a fault of the program at {spec.trial}")

    return run


def loud(job: Job) -> Runner:
    """Print, as a strategy may."""
    made = tiny(job)

    def run(spec: Spec) -> list[Figures]:
        print("said by a run")
        return made(spec)

    return run


def stillborn(job: Job) -> Runner:
    """Do not even start."""
    raise SystemExit(7)


def busy(job: Job) -> Runner:
    """Take about five milliseconds of a processor for each run."""
    made = tiny(job)

    def run(spec: Spec) -> list[Figures]:
        end = time.process_time() + 0.005
        while time.process_time() < end:
            pass
        return made(spec)

    return run


def placed(result: Result, span: Span) -> Result:
    """Return a result whose figures lie in the span's slices."""
    if result.figures is None:
        return result
    figures = msgspec.msgpack.decode(result.figures, type=list[Figures])
    made = [
        msgspec.structs.replace(one, from_ns=start_ns, to_ns=end_ns)
        for one, (_, start_ns, end_ns) in zip(figures, span.slices, strict=True)
    ]
    return msgspec.structs.replace(result, figures=msgspec.msgpack.encode(made))


def encoded(moments: Moments, pnl: float = 0.0) -> bytes:
    """Return figures as a result holds them."""
    return msgspec.msgpack.encode([figures_with(moments, pnl)])
