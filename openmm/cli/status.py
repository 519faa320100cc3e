"""`openmm status`: what bots are doing, from their shared pages; asks the bots nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, EXIT_HALTED, Json, emit, pairs, table
from openmm.cli.pick import Bot, Folder, pick, root_of

if TYPE_CHECKING:
    from openmm.control.views import BotState

EXAMPLE = "Example: openmm status --bot btc-grid --json"


def status(bot: Bot = None, run_dir: Folder = None, json_: Json = False) -> int:
    """Show one bot, or all bots of a folder.

    The exit code tells: 0 it runs, 3 it is halted, 1 it does not run or does not publish; of
    several bots the worst counts, 1 before 3.
    """
    import time

    from openmm.control.views import look
    from openmm.engine.rundir import bots

    root, now_ns = root_of(run_dir), time.time_ns()
    known = bots(root)
    if bot is None and len(known) > 1 and not (root / "session.json").exists():
        states = [look(one, now_ns) for one in known]
        payload = {"bots": [_payload(state, now_ns) for state in states]}
        emit(payload, json_, lambda: table(_rows(states, now_ns)))
        return _exit_code(states)
    state = look(pick(bot, run_dir), now_ns)
    emit(_payload(state, now_ns), json_, lambda: _text(state, now_ns))
    return _exit_code([state])


def _exit_code(states: list[BotState]) -> int:
    """Return what the worst of the bots is worth."""
    if any(not state.running or state.page_state != "alive" for state in states):
        return EXIT_FAILED
    return EXIT_HALTED if any(_risk(state) == "halted" for state in states) else EXIT_DONE


def _payload(state: BotState, now_ns: int) -> dict[str, Any]:
    from openmm.control.groups import group_of
    from openmm.control.views import page_view

    page = None if state.page is None else page_view(state.page, now_ns)
    others, why = _beside(state)
    return {
        "bot": state.bot,
        "running": state.running,
        "pid": state.pid,
        "page": state.page_state,
        "page_error": state.page_error,
        "session": {k: v for k, v in state.session.items() if k != "config"},
        "state": page,
        "neighbours": others,
        "neighbours_error": why,
        "group": group_of(state.session, now_ns),
    }


def _beside(state: BotState) -> tuple[list[dict[str, Any]], str | None]:
    """Return the other bots on this one's market; a paper bot has none."""
    from openmm.control.neighbours import beside

    return beside(state.bot) if state.page is not None and state.page.mode == "live" else ([], None)


def _risk(state: BotState) -> str:
    from openmm._fast.checks import RiskState
    from openmm.control.views import enum_name

    return "" if state.page is None else enum_name(RiskState, state.page.risk_state)


def _rows(states: list[BotState], now_ns: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("bot", "process", "page", "risk", "equity", "fills")]
    for state in states:
        page = state.page
        rows.append(
            (
                state.bot,
                str(state.pid) if state.running else "-",
                state.page_state,
                _risk(state) or "-",
                "-" if page is None else f"{page.money(page.equity_ticklots):.2f} {page.quote}",
                "-" if page is None else str(page.counters.filled),
            )
        )
    return rows


def _price(value: object) -> str:
    return "-" if value is None else f"{value:f}"


def _source(source: dict[str, Any]) -> str:
    """Describe one source of the reference; "-": not known."""
    mid, age_ms = source["mid"], source["age_ms"]
    return (
        f"{source['verdict']}, mid {'-' if mid is None else mid}, "
        f"age {'-' if age_ms is None else f'{age_ms} ms'}, "
        f"basis {source['basis']}, weight {source['weight_ppm'] / 10_000:.1f}%"
    )


def _text(state: BotState, now_ns: int) -> str:
    """Describe one bot in lines."""
    from openmm.control.groups import group_line, group_of
    from openmm.control.views import hedge_line, model_lines, page_view

    process = f"runs as process {state.pid}" if state.running else "does not run"
    head = f"{state.bot}: {process}; page {state.page_state}"
    if state.page is None:
        return f"{head} ({state.page_error})"
    view = page_view(state.page, now_ns)
    stock, pnl = view["inventory"], view["pnl"]
    lines = {
        "session": f"{view['session']} ({view['mode']}, {view['uptime_s']} s)",
        "risk": f"{view['risk_state']} {view['risk_reason']}".rstrip(),
        "reference": f"{view['reference']['price']} {stock['quote_asset']}, confidence "
        f"{view['reference']['confidence_ppm'] / 10_000:.0f}%",
        **{f"source {source['label']}": _source(source) for source in view["reference"]["sources"]},
        **{
            f"book {venue['label']}": f"{venue['book']} {venue['best_bid']} / {venue['best_ask']}, "
            f"age {venue['age_ms']} ms, breaks {venue['breaks']}"
            for venue in view["venues"]
        },
        "orders": f"{len(view['orders']['bids'])} bids, {len(view['orders']['asks'])} asks, "
        f"{view['counters']['unknown']} unknown",
        "inventory": f"{stock['base']} {stock['base_asset']}, {stock['quote']:.2f} "
        f"{stock['quote_asset']}, base share {stock['share_ppm'] / 10_000:.2f}% "
        f"(target {stock['target_ppm'] / 10_000:.2f}%)",
        **({} if view["model"] is None else model_lines(view["model"], stock["quote_asset"])),
        **(
            {}
            if view["hedge"] is None
            else {"hedge": hedge_line(view["hedge"], stock["base_asset"], now_ns)}
        ),
        "P&L": f"realised {pnl['realised']:.4f}, unrealised {pnl['unrealised']:.4f}, "
        f"fees {pnl['fees']:.4f}, drawdown {pnl['drawdown_ppm'] / 10_000:.3f}%",
        "fills": view["counters"]["filled"],
    }
    if (group := group_of(state.session, now_ns)) is not None:
        lines["group"] = group_line(group)
    if tightened := state.session.get("tightened"):
        lines["limits"] = ", ".join(f"{key} {text}" for key, text in tightened.items())
    moved = state.session.get("changed", {}).items()
    if changed := [(key, text) for key, text in moved if key.startswith("strategy.")]:
        lines["parameters"] = ", ".join(
            f"{key.removeprefix('strategy.')} {text}" for key, text in changed
        )
    for name in ("TICK_TO_ORDER", "ACK"):
        if name in view["latency_ns"]:
            span = view["latency_ns"][name]
            lines[name.replace("_", " ").lower()] = (
                f"p50 {span['p50_ns'] / 1000:.1f} us, p99 {span['p99_ns'] / 1000:.1f} us, "
                f"max {span['max_ns'] / 1000:.1f} us of {span['sample_count']}"
            )
    others, why = _beside(state)
    for one in others:
        end = "" if one["alive"] else ", gone, in force"
        lines[f"neighbour {one['bot']}"] = (
            f"bid {_price(one['bid'])}, ask {_price(one['ask'])}, for {one['purpose']}{end}"
        )
    if why:
        lines["neighbours"] = why
    if view["incident"]:
        lines["incident"] = view["incident"]
    return head + "\n" + pairs(lines)
