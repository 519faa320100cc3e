"""Entry point of `openmm`: the commands, and how an error reaches the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from openmm.cli import (
    account,
    adjust,
    alerts,
    audit,
    backtest,
    cancel,
    check,
    compare,
    data,
    demo,
    doctor,
    drift,
    explain,
    export,
    fills,
    fit,
    flatten,
    halt,
    incidents,
    init,
    inventory,
    market,
    mcp,
    neighbours,
    new,
    output,
    parameters,
    pause,
    place,
    pnl,
    positions,
    record,
    replay,
    report,
    resume,
    run,
    serve,
    shadow,
    sim,
    status,
    stop,
    sweep,
    tighten,
    token,
    top,
    undo,
    up,
    vault,
    verify,
)
from openmm.errors import ConfigError, OpenMMError

app = typer.Typer(
    name="openmm",
    help="Performance-first market making on spot crypto venues.\n\n"
    "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 halted by risk.",
    epilog="Example: openmm demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("init", epilog=init.EXAMPLE)(init.init)
app.command("check", epilog=check.EXAMPLE)(check.check)
app.command("run", epilog=run.EXAMPLE)(run.run)
app.command("top", epilog=top.EXAMPLE)(top.top)
app.command("up", epilog=up.EXAMPLE)(up.up)
app.command("status", epilog=status.EXAMPLE)(status.status)
app.command("audit", epilog=audit.EXAMPLE)(audit.audit)
app.command("halt", epilog=halt.EXAMPLE)(halt.halt)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("pause", epilog=pause.EXAMPLE)(pause.pause)
app.command("resume", epilog=resume.EXAMPLE)(resume.resume)
app.command("adjust", epilog=adjust.EXAMPLE, context_settings={"ignore_unknown_options": True})(
    adjust.adjust
)
app.command("incidents", epilog=incidents.EXAMPLE)(incidents.incidents)
app.command("tighten", epilog=tighten.EXAMPLE)(tighten.tighten)
app.command("mcp", epilog=mcp.EXAMPLE)(mcp.mcp)
app.command("neighbours", epilog=neighbours.EXAMPLE)(neighbours.neighbours)
app.command("set", epilog=parameters.EXAMPLE)(parameters.set_)
app.command("undo", epilog=undo.EXAMPLE)(undo.undo)
app.command("place", epilog=place.EXAMPLE)(place.place)
app.command("cancel", epilog=cancel.EXAMPLE)(cancel.cancel)
app.command("flatten", epilog=flatten.EXAMPLE)(flatten.flatten)
app.command("stop", epilog=stop.EXAMPLE)(stop.stop)
app.command("report", epilog=report.EXAMPLE)(report.report)
app.command("fills", epilog=fills.EXAMPLE)(fills.fills)
app.command("pnl", epilog=pnl.EXAMPLE)(pnl.pnl)
app.command("inventory", epilog=inventory.EXAMPLE)(inventory.inventory)
app.command("positions", epilog=positions.EXAMPLE)(positions.positions)
app.command("export", epilog=export.EXAMPLE)(export.export)
app.command("explain", epilog=explain.EXAMPLE)(explain.explain)
app.command("replay", epilog=replay.EXAMPLE)(replay.replay)
app.command("backtest", epilog=backtest.EXAMPLE)(backtest.backtest)
app.command("compare", epilog=compare.EXAMPLE)(compare.compare)
app.command("drift", epilog=drift.EXAMPLE)(drift.drift)
app.command("fit", epilog=fit.EXAMPLE)(fit.fit)
app.command("shadow", epilog=shadow.EXAMPLE)(shadow.shadow)
app.command("sweep", epilog=sweep.EXAMPLE)(sweep.sweep)
app.command("verify", epilog=verify.EXAMPLE)(verify.verify)
app.command("record", epilog=record.EXAMPLE)(record.record)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command("ticker", epilog=market.TICKER_EXAMPLE)(market.ticker)
app.command("orderbook", epilog=market.BOOK_EXAMPLE)(market.orderbook)
app.command("trades", epilog=market.TRADES_EXAMPLE)(market.trades)
app.command("ohlcv", epilog=market.OHLCV_EXAMPLE)(market.ohlcv)
app.command("balance", epilog=account.BALANCE_EXAMPLE)(account.balance)
app.command("orders", epilog=account.ORDERS_EXAMPLE)(account.orders)
app.add_typer(alerts.app, name="alerts")
app.add_typer(data.app, name="data")
app.add_typer(new.app, name="new")
app.add_typer(sim.app, name="sim")
app.add_typer(token.app, name="token")
app.add_typer(vault.app, name="vault")


def _version(wanted: bool) -> None:
    if wanted:
        from openmm import __version__

        typer.echo(f"openmm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the code an error came from.")
    ] = False,
) -> None:
    """Performance-first market making on spot crypto venues."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    _open_streams()
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in args
    debug = "--debug" in args or os.environ.get("OPENMM_DEBUG") == "1"
    args = [arg for arg in args if arg != "--debug"]
    if not debug:
        sys.excepthook = partial(_one_line, as_json)
    try:
        command = typer.main.get_command(app)
        done = command.main(args=args, prog_name="openmm", standalone_mode=False)
    except TyperException as error:
        told = error.format_message()
        if told == "Missing command.":
            path = getattr(getattr(error, "ctx", None), "command_path", "openmm")
            told = f"a command is missing: {path} --help lists them"
        return output.fail("usage", told, as_json, output.EXIT_USAGE)
    except typer.Abort:
        return output.fail("aborted", "aborted", as_json, output.EXIT_FAILED)
    except OpenMMError as error:
        if debug:
            raise
        usage = isinstance(error, ConfigError)
        code = output.EXIT_USAGE if usage else output.EXIT_FAILED
        return output.fail_with(error, as_json, code)
    except BrokenPipeError:
        # The reader of a pipe left: nothing more can be said to it.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return output.EXIT_FAILED
    return done if isinstance(done, int) else output.EXIT_DONE


def _open_streams() -> None:
    """Let what is said into a closed standard stream go nowhere, and into no file opened later."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given: this one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _one_line(
    as_json: bool, kind: type[BaseException], error: BaseException, _: TracebackType | None
) -> None:
    """Report an unforeseen error as every other one; the interpreter exits with 1."""
    if issubclass(kind, KeyboardInterrupt):
        output.fail("interrupted", "interrupted", as_json, output.EXIT_FAILED)
        return
    text = f"internal error: {kind.__name__}: {error} (--debug shows where)"
    output.fail("internal_error", text, as_json, output.EXIT_FAILED)


if __name__ == "__main__":
    sys.exit(main())
