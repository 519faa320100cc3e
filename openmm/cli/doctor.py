"""`openmm doctor`: whether a venue, its keys and this machine's clock are fit to trade."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, table
from openmm.cli.reach import Label, Options, RestUrl, VenueName, reach

if TYPE_CHECKING:
    from openmm.config import BotConfig
    from openmm.venues.base import KeyRights, ServerTime
    from openmm.venues.connector import Connector
    from openmm.venues.desk import Desk

EXAMPLE = "Example: openmm doctor kraken --json"
ASKED = 5
OFFSET_NS_MAX = 1_000_000_000
CONNECT_S = 10.0
Row = tuple[str, str, str]  # what, verdict (ok, warn, failed, skipped), words


def doctor(
    venue: VenueName,
    rest: RestUrl = "",
    ws: Annotated[str, typer.Option("--ws", help="Address of the public stream.")] = "",
    ws_auth: Annotated[str, typer.Option("--ws-auth", help="Address of the private one.")] = "",
    label: Label = "",
    option: Options = None,
    for_: Annotated[
        Path | None,
        typer.Option("--for", help="A live bot's file: its addresses, keys, settings; on record."),
    ] = None,
    json_: Json = False,
) -> int:
    """Check that keys work and may do no more than trade, the clock, the streams and latency.

    A key that can withdraw is refused where the venue tells. Without keys the public side is
    checked. Exit code 1 when something failed. With --for what passed is put on record in the bot's
    folder: a first live start at a real venue needs that, no older than a day.
    """
    from openmm.config.secrets import has_keys, load_keys
    from openmm.errors import OpenMMError

    endpoints = {"rest": rest, "ws": ws, "ws_auth": ws_auth}
    config = None
    if for_ is not None:
        config = _of_file(for_, venue, {**endpoints, "label": label, "option": option})
        quoted = config.quoted
        endpoints = {name: url or "" for name, url in quoted.endpoints.model_dump().items()}
        label = quoted.label
        option = [f"{name}={_option(value)}" for name, value in quoted.options.items()]
    try:
        if config is not None:
            load_keys(label or venue)
        keyed = has_keys(label or venue)
        rows, figures = reach(
            venue, lambda desk: _examine(desk, keyed), endpoints=endpoints, options=option,
            label=label if keyed else None,
        )  # fmt: skip
    except OpenMMError:
        if config is not None:
            # Whatever kept it from an answer: what an earlier one said holds no more.
            _put_on_record(config, False)
        raise
    if config is not None:
        rows.append(("account", "ok", f"of {config.bot.name}, label {label}"))
    good = all(verdict != "failed" for _, verdict, _ in rows)
    if config is not None:
        _put_on_record(config, good)
    payload: dict[str, Any] = {
        "venue": venue, "good": good,
        "checks": [
            {"check": what, "verdict": verdict, "text": told} for what, verdict, told in rows
        ],
        **figures,
    }  # fmt: skip

    def text() -> str:
        width = max(len(what) for what, _, _ in rows)
        lines = [f"{what.ljust(width)}  {verdict.ljust(7)}  {told}" for what, verdict, told in rows]
        latency: list[tuple[str, ...]] = [("endpoint", "asked", "best", "median", "worst")]
        for name, one in figures["latency"].items():
            spans = (f"{one[key] / 1e6:.1f} ms" for key in ("best_ns", "median_ns", "worst_ns"))
            latency.append((name, str(one["count"]), *spans))
        return "\n".join(lines) + "\n\n" + table(latency)

    emit(payload, json_, text)
    return EXIT_DONE if good else EXIT_FAILED


def _of_file(file: Path, venue: str, told: dict[str, Any]) -> BotConfig:
    """Read the file of a live bot that trades on a venue; nothing beside it says otherwise."""
    from openmm.config import load
    from openmm.errors import ConfigError

    config = load(file)
    for name, value in told.items():
        if value:
            raise ConfigError(f"--{name.replace('_', '-')}", value, "left out: --for tells")
    if config.quoted.name != venue:
        raise ConfigError("--for", str(file), f"a bot that trades on {venue}")
    if config.bot.mode != "live":
        raise ConfigError("--for", str(file), 'a bot with mode = "live"')
    return config


def _option(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put_on_record(config: BotConfig, good: bool) -> None:
    """Keep what passed for the first live start; what failed takes an earlier record away."""
    from openmm.config.secrets import load_keys
    from openmm.engine import admission
    from openmm.engine.rundir import RunDir

    assert config.bot.run_dir is not None
    path = admission.doctor_path(RunDir(config.bot.run_dir, config.bot.name).make().path)
    if not good:
        path.unlink(missing_ok=True)
        return
    venue = config.quoted
    mark = admission.fingerprint(venue.name, load_keys(venue.label).key)
    record = admission.Doctored(venue.name, mark, admission.config_hash(config), time.time_ns())
    admission.write_record(path, record)


async def _examine(desk: Desk, keyed: bool) -> tuple[list[Row], dict[str, Any]]:
    from openmm.config.schema import WATCHED
    from openmm.venues import registry

    times = [await desk.get_server_time() for _ in range(ASKED)]
    latency = {"rest": _spans([one.round_trip_ns for one in times])}
    rows = [_clock(times)]
    state = await desk.get_system_state()
    open_ = state.mode.value == "online"
    rows.append(("trading mode", "ok" if open_ else "warn", state.text or state.mode.value))
    connector = registry.connector(desk.config, None)
    rows += await _streams(connector, keyed, latency)
    figures: dict[str, Any] = {
        "latency": latency, "capabilities": _can(desk), "rights": None, "limits": None
    }  # fmt: skip
    if desk.config.name not in WATCHED:
        figures["limits"] = _limits(connector)
        rows.append(("limits", "ok", _told(figures["limits"])))
    await connector.rest().close()
    if not keyed:
        rows.append(("keys", "skipped", "there are none: only the public side was checked"))
        return rows, figures
    rows += await _keys(desk, figures)
    return rows, figures


def _clock(times: list[ServerTime]) -> Row:
    """Judge the clock by the quickest answer: its middle is known best."""
    best = min(times, key=lambda one: one.round_trip_ns)
    offset_ms, within_ms = best.offset_ns / 1e6, best.round_trip_ns / 2e6
    words = f"the venue's is {offset_ms:+.1f} ms from ours, within {within_ms:.1f} ms"
    return "clock", "ok" if abs(best.offset_ns) <= OFFSET_NS_MAX else "failed", words


async def _streams(
    connector: Connector, keyed: bool, latency: dict[str, dict[str, int]]
) -> list[Row]:  # fmt: skip
    """Connect to each stream and measure it."""
    import asyncio

    from picows import WSError, WSListener, ws_connect

    rows: list[Row] = []
    urls = {"ws public": connector.public_url}
    if keyed and connector.private_url:
        urls["ws private"] = connector.private_url
    for name, url in urls.items():
        spans = []
        try:
            for _ in range(3):
                started_ns = time.perf_counter_ns()
                async with asyncio.timeout(CONNECT_S):
                    transport, _ = await ws_connect(WSListener, url, max_redirects=0)
                spans.append(time.perf_counter_ns() - started_ns)
                transport.disconnect(False)
                await transport.wait_disconnected()
        except (OSError, WSError, TimeoutError) as error:
            rows.append((name, "failed", f"{url}: {type(error).__name__}: {error}"))
            continue
        latency[f"{name} connect"] = _spans(spans)
        rows.append((name, "ok", url))
    return rows


def _limits(connector: Connector) -> dict[str, float]:
    """Return the counter a bot holds itself to: its units, and what each request costs of them.

    It is that of a new account where the venue tells the account's own to a bot only.
    """
    from openmm._fast.planner import ActionKind

    budget = connector.rate_budget(reserve=lambda _threshold_milli: 0)
    costs = {
        name: budget.cost(kind) / 1000
        for name, kind in (
            ("place", ActionKind.ACTION_PLACE), ("amend", ActionKind.ACTION_AMEND),
            ("cancel", ActionKind.ACTION_CANCEL),
        )
    }  # fmt: skip
    return {
        "at_once": budget.threshold_milli / 1000, "per_s": budget.decay_milli_per_s / 1000,
        "kept_for_cancels": budget.reserve_milli / 1000, **costs,
    }  # fmt: skip


def _told(limits: dict[str, float]) -> str:
    costs = ", ".join(f"{limits[name]:g} to {name}" for name in ("place", "amend", "cancel"))
    kept = limits["kept_for_cancels"]
    return (
        f"{limits['at_once']:g} at once, then {limits['per_s']:g} a second; {costs} at once after "
        f"the order was made; {f'{kept:g}' if kept else 'none'} kept for cancels alone; a bot "
        "takes more when the venue tells it"
    )


async def _keys(desk: Desk, figures: dict[str, Any]) -> list[Row]:
    """Ask what the key may do, and whether it does."""
    from openmm.errors import VenueError
    from openmm.venues.remedies import advice

    try:
        held = await desk.get_balance()
        rights = await desk.get_key_rights()
        orders = await desk.get_open_orders()
    except VenueError as error:
        return [("keys", "failed", f"{error}; {advice(error)}")]
    figures["rights"] = {
        "reads": rights.reads, "trades": rights.trades, "withdraws": rights.withdraws,
        "told": rights.told, "ips": rights.ips,
    }  # fmt: skip
    figures["open_orders"] = len(orders)
    assets = sum(1 for one in held.values() if one.total)
    return [
        ("keys", "ok", f"they work: {assets} assets held, {len(orders)} orders open"),
        _may_trade(rights),
        _may_withdraw(rights),
        (
            "addresses", "ok" if rights.ips else "warn",
            f"bound to {', '.join(rights.ips)}" if rights.ips else "the key is bound to none, "
            "as far as the venue tells",
        ),
    ]  # fmt: skip


def _may_trade(rights: KeyRights) -> Row:
    told = f"the venue says: {', '.join(rights.told) or 'nothing'}"
    if rights.trades is None:
        return "may trade", "warn", f"not known; {told}"
    return "may trade", "ok" if rights.trades else "failed", told


def _may_withdraw(rights: KeyRights) -> Row:
    if rights.withdraws is None:
        words = "the venue does not tell whether the key can withdraw: look at its page of keys"
        return "may withdraw", "warn", words
    if rights.withdraws:
        return "may withdraw", "failed", "this key can withdraw: make one that cannot"
    return "may withdraw", "ok", "it cannot"


def _can(desk: Desk) -> dict[str, Any]:
    from msgspec import structs

    return structs.asdict(desk.capabilities)


def _spans(spans: list[int]) -> dict[str, int]:
    ranked = sorted(spans)
    return {
        "count": len(ranked), "best_ns": ranked[0], "median_ns": ranked[len(ranked) // 2],
        "worst_ns": ranked[-1],
    }  # fmt: skip
