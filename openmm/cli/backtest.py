"""`openmm backtest`: bots over recorded markets, the fill model beside every figure."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import (
    EXIT_DONE,
    EXIT_FAILED,
    Json,
    emit_beside,
    maps_files,
    need,
    need_page,
    on_terminal,
    progress,
    write_file,
)
from openmm.cli.spans import rate_of, span_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmm.backtest.gather import Span
    from openmm.backtest.model import Model
    from openmm.backtest.trials import Trial
    from openmm.config import BotConfig

EXAMPLE = "Example: openmm backtest bot.toml --data market --html backtest.html"
WIDTH = 220


def backtest(
    bots: Annotated[list[Path], typer.Argument(help="The bots' files.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="An .omd file, a folder of them, or a recording: FILE or VENUE:FILE. May be given "
            "several times; markets recorded at one time run on one clock.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE",
            help="Run a variant of every bot as well, such as strategy.spread=4bps; several keys "
            "with commas between. May be given several times.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue",
            help="Who leaves a level when others cancel: careful (those behind us), power or log.",
        ),
    ] = None,
    power: Annotated[
        int | None, typer.Option("--power", help="Exponent of --queue power, 1 to 8.")
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option(
            "--latency", help="Of orders and of answers, such as 20ms; as in [paper] unless told."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="A file of such assumptions, JSON.")
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", help="Decide at this cadence, such as 100ms, not at each message."),
    ] = None,
    start: Annotated[
        str,
        typer.Option("--from", help="UTC, such as 2024-08-08T23:55, or a time into the data: 60s."),
    ] = "",
    end: Annotated[str, typer.Option("--to", help="The same, not in it.")] = "",
    pair: Annotated[
        str, typer.Option("--pair", help="Which pair of recordings that hold several.")
    ] = "",
    quote: Annotated[
        str,
        typer.Option(
            "--quote",
            help="Which market to quote where the data has none of the bot's own, such as "
            "binance-spot. Needed where several could be.",
        ),
    ] = "",
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate", metavar="PAIR=NUMBER",
            help="Hold a [[venue]] with rate at this where the data has none, such as USDT/USD=1.",
        ),
    ] = None,
    look_ahead: Annotated[
        bool,
        typer.Option(
            "--look-ahead",
            help="Check that the future changes nothing, that one event later is no better, and "
            "what older news cost: 5 ms to 1 s.",
        ),
    ] = False,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames", help="Put recordings through the decoders in the run, not into columns."
        ),
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Run the whole engine with bytes and ledger, as openmm compare does."
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file as well.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Write fills, orders and marks of each run as Parquet there as well; it has to be "
            "empty, or not there yet.",
        ),
    ] = None,
    json_: Json = False,
) -> int:  # fmt: skip
    """Run bots over recorded markets: the compiled engine that trades, bit for bit, millions of
    events a second, and a venue that fills by a stated model.

    P&L by cause, drawdown, markouts, fill probability by distance and queue place; variants and
    bots side by side. Exit code 1 when a run quoted nothing, or --look-ahead found one. Nothing is
    asked of a venue, and no key is needed.
    """
    for package in ("numpy", "pyarrow"):
        need(package, "a backtest")
    maps_files(json_)
    need_page("--html", html)
    if whole:
        return _whole(
            bots, data or [], changes or [], pair, html, json_,
            unused={
                "--queue": queue, "--power": power, "--model": model, "--every": every,
                "--from": start, "--to": end, "--rate": rate, "--latency": latency,
                "--look-ahead": look_ahead, "--quote": quote, "--frames": frames, "--out": out,
            },
        )  # fmt: skip
    from openmm.backtest import trials as trying
    from openmm.backtest.gather import cut, first, gather, with_rates
    from openmm.backtest.gather import frames as read_frames
    from openmm.backtest.trials_text import data_told

    found = trying.variants(bots, changes or [])
    model_of = models(model, queue, power, latency, every)
    for one in found:
        model_of(one.config)  # told before anything is read
    rates = [rate_of(text) for text in rate or []]
    if out is not None:
        from openmm.backtest import trials_files

        trials_files.claim("--out", out)
    with progress() as shown:
        spans = read_frames(data or [], pair) if frames else gather(data or [], pair, shown)
        if start or end:
            spans = cut(spans, *_between(start, end, spans))
        if quote:
            spans = [first(one, quote) for one in spans]
        if rates:
            configs = [one.config for one in found]
            spans = [with_rates(one, configs, rates) for one in spans]
        made = trying.run_all(found, spans, model_of, time.perf_counter, shown, checked=look_ahead)
    for span in spans:
        if span.broken:
            sys.stderr.write(f"openmm: BROKEN {data_told(span)}\n")

    def write() -> None:
        try:
            if html is not None:
                write_page(made, spans, html)
        finally:
            if out is not None:
                trials_files.write(made, spans, out)

    emit_beside(write, trying.to_json(made, spans), json_, lambda: text_of(made, spans))
    return EXIT_FAILED if any(one.failed for one in made) else EXIT_DONE


def models(
    path: Path | None, queue: str | None, power: int | None, latency: str | None,
    every: str | None,
) -> Callable[[BotConfig], Model]:  # fmt: skip
    """Return what is assumed of the venue, by bot: the file's, with what options say instead.

    Raises:
        ConfigError: an option's value is none.
    """
    import msgspec

    from openmm.backtest.model import (
        CADENCE_NS_MIN,
        DELAY_NS_MAX,
        QUEUES,
        SPAN_NS_MAX,
        Model,
        load,
    )
    from openmm.config.values import parse_duration_ns
    from openmm.errors import ConfigError

    told: dict[str, object] = {}
    if queue is not None:
        if queue not in QUEUES:
            raise ConfigError("--queue", queue, f"one of {', '.join(QUEUES)}")
        told["queue"] = queue
    if power is not None:
        if not 1 <= power <= 8:
            raise ConfigError("--power", power, "1 to 8")
        told["power"] = power
    if latency is not None:
        try:
            ns = parse_duration_ns(latency)
        except ValueError as error:
            raise ConfigError("--latency", latency, str(error)) from None
        if not 0 <= ns <= DELAY_NS_MAX:
            raise ConfigError("--latency", latency, f"0s to {DELAY_NS_MAX // 10**9}s")
        told["orders_ns"] = told["answers_ns"] = (ns,)
        told["orders_from_ns"] = told["answers_from_ns"] = ()
    if every is not None:
        ns = round(span_s("--every", every) * 1e9)
        if ns and not CADENCE_NS_MIN <= ns <= SPAN_NS_MAX:
            raise ConfigError("--every", every, "0s, or 10us to 1h")
        told["every_ns"] = ns
    read = None if path is None else load(path)
    if power is not None and (queue or (read or Model()).queue) != "power":
        raise ConfigError("--power", power, "with --queue power, or a model's file of that queue")

    def model_of(config: BotConfig) -> Model:
        ns = config.paper.latency_ns
        usual = Model(orders_ns=(ns,), answers_ns=(ns,)) if read is None else read
        return msgspec.structs.replace(usual, **told)

    return model_of


def _between(start: str, end: str, spans: Sequence[Span]) -> tuple[int, int]:
    first_ns, last_ns = spans[0].start_ns, spans[-1].end_ns
    start_ns = _moment("--from", start, first_ns) if start else first_ns
    end_ns = _moment("--to", end, first_ns) if end else last_ns + 1
    if end and end_ns <= start_ns:
        from openmm.errors import ConfigError

        raise ConfigError("--to", end, f"later than --from, {start or 'the beginning'}")
    return start_ns, end_ns


def _moment(option: str, text: str, first_ns: int) -> int:
    """Return a moment: UTC as ISO 8601 writes it, or a time into the data."""
    from datetime import UTC, datetime, timedelta

    from openmm.config.values import parse_duration_ns
    from openmm.errors import ConfigError

    try:
        return first_ns + parse_duration_ns(text)
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        allowed = "UTC such as 2024-08-08T23:55, or a time into the data such as 60s"
        raise ConfigError(option, text, allowed) from None
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    return (told - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _whole(
    bots: Sequence[Path], data: Sequence[str], changes: Sequence[str], pair: str,
    html: Path | None, json_: bool, unused: dict[str, object],
) -> int:  # fmt: skip
    """Run the whole engine over recordings instead: what `openmm compare` runs."""
    from openmm.backtest.gather import need_recordings
    from openmm.backtest.trials import variants
    from openmm.cli import compare
    from openmm.errors import ConfigError
    from openmm.rerun import compare as comparing
    from openmm.rerun.streams import asked

    for option, value in unused.items():
        if value:
            raise ConfigError(option, value, "left out with --whole: [paper] latency counts there")
    need_recordings("--whole", data)
    found = variants(bots, changes)
    streams = asked(data, "", 1, None, pair)
    configs = [
        one.config.model_copy(update={"bot": one.config.bot.model_copy(update={"name": one.label})})
        for one in found
    ]
    with compare.progress(len(configs), streams) as on_progress:
        made = comparing.compare(configs, streams, on_progress)
    compare.tell(made, html, json_, WIDTH)
    quoted = all(one.messages.placed for one in made)
    return EXIT_DONE if quoted else EXIT_FAILED


def write_page(made: Sequence[Trial], spans: Sequence[Span], path: Path) -> None:
    """Write the page with plots.

    Raises:
        CommandError: the file cannot be written.
    """
    from openmm.backtest.trials_page import page

    write_file(path, page(made, spans))


def text_of(made: Sequence[Trial], spans: Sequence[Span]) -> str:
    """Render results as text."""
    import io

    from rich.console import Console

    from openmm.backtest.trials_text import render

    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=on_terminal(), highlight=False)
    render(made, spans, console)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())
