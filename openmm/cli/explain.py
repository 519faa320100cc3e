"""`openmm explain`: why an order was placed, moved and ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.cli.pick import Bot, Folder, pick_journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openmm.engine.why import Seen
    from openmm.settlement.explain import Event, Explanation, Terms

EXAMPLE = "Example: openmm explain 512 --bot btc-grid"


def explain(
    order: Annotated[
        str,
        typer.Argument(help="Its number, its client id, or the venue's id of one that traded."),
    ],
    session: Annotated[
        str | None, typer.Option("--session", help="The session; the last one unless told.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="A session's folder of segments instead.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without what only a replay tells: it takes its time.")
    ] = False,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Tell an order's life out of the journal: each act with its reason, the terms of the ladder it
    follows from, clamps, the checks that refused, answers with their evidence, fills, and times.

    The journal is then replayed up to the order's last act: each venue's part in the reference and
    each check's limit and value stand in no record; the same engine comes to them again.
    """
    from dataclasses import asdict

    from msgspec import to_builtins

    from openmm.cli.replay import replaying
    from openmm.errors import JournalError
    from openmm.journal import read_journal
    from openmm.settlement.explain import explain as found_in

    folder = journal if journal is not None else pick_journal(session, bot, run_dir)
    found = found_in(read_journal(folder), order)
    told: dict[int, Seen] = {}
    missing = ""
    if not quick:
        from openmm.engine.why import seen

        acts = [one.record_index for one in found.events if one.what in ("place", "amend")]
        try:
            with replaying(folder, not json_) as on_progress:
                told = seen(read_journal(folder), acts, on_progress)
        except JournalError as error:
            missing = str(error)
    seen_by = [to_builtins(one) for one in told.values()]
    emit(
        asdict(found) | {"seen": seen_by, "not_replayed": missing}, json_,
        lambda: text_of(found, told, missing),
    )  # fmt: skip
    return EXIT_DONE


def text_of(found: Explanation, told: Mapping[int, Seen], missing: str = "") -> str:
    """Render an order's life as text; a ladder's terms are told once for all acts out of it."""
    from datetime import UTC, datetime

    head = f"order {found.seq}: {found.side} {found.instrument} on {found.venue}"
    lines = [head, f"client id {found.client_id}, session {found.session_id}"]
    if found.venue_order_ids:
        lines.append(f"at the venue: {', '.join(found.venue_order_ids)}")
    terms: Terms | None = None
    for event in found.events:
        at = datetime.fromtimestamp(event.ts_ns // 10**9, UTC)
        time = f"{at:%H:%M:%S}.{event.ts_ns % 10**9 // 1000:06d}"
        priced = "" if event.price is None else f"  {_plain(event.price)}"
        priced += "" if event.qty is None else f" x {_plain(event.qty)}"
        lines += ["", f"{time}  {event.what}{priced}  {event.text}"]
        if event.terms is not None and event.terms is not terms:
            terms = event.terms
            lines += [f"    {line}" for line in _of_terms(terms)]
        lines += [f"    {line}" for line in _of_act(event)]
        if event.record_index in told:
            lines += [f"    {line}" for line in _of_seen(told[event.record_index])]
    if missing:
        lines += ["", f"without the reference's parts and the checks that passed: {missing}"]
    return "\n".join(lines)


def _plain(value: object) -> str:
    from decimal import Decimal

    assert isinstance(value, Decimal), value
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _of_terms(terms: Terms) -> list[str]:
    def part(name: str, value: object) -> str:
        text = _plain(value)
        return f"{'- ' if text.startswith('-') else '+ '}{text.lstrip('-')} {name}"

    rows = [
        (
            "market", f"{_plain(terms.best_bid)} / {_plain(terms.best_ask)}, reference "
            f"{_plain(terms.reference)} at {terms.confidence:.0%} confidence",
        ),
        (
            "signals", f"volatility {_plain(terms.volatility)} a root second, flow "
            f"{terms.flow:+.0%}, depth {_plain(terms.depth)} of usually "
            f"{_plain(terms.usual_depth)}, spread {-terms.compression:+.0%} off its usual",
        ),
        (
            "book", f"fair value {terms.fair:+.4%} off the mid, imbalance {terms.imbalance:+.0%}, "
            f"order flow {terms.order_flow:+.0%}",
        ),
        (
            "inventory", f"{terms.inventory:+.2%} of the scale off target: base is "
            f"{terms.base_share:.2%}, wanted {terms.target_share:.2%}"
            + (
                f"; the group's, of this venue alone {terms.own_inventory:+.2%}"
                if terms.own_inventory != terms.inventory
                else ""
            ),
        ),
        (
            "centre", f"{_plain(terms.centre)}, with {part('for inventory', terms.skew)} "
            f"{part('for flow', terms.flow_skew)}"
            + "".join(
                f" {part(name, value)}"
                for name, value in (
                    ("for fair value", terms.fair_skew), ("for imbalance", terms.imbalance_skew),
                    ("for order flow", terms.order_flow_skew),
                )
                if value
            ),
        ),
        (
            "half spread", f"{_plain(terms.half_spread)}: {_plain(terms.half_base)} "
            f"{part('volatility', terms.widened_by_volatility)} "
            f"{part('depth', terms.widened_by_depth)} "
            f"{part('inventory', terms.widened_by_inventory)}"
            + "".join(
                f" {part(name, value)}"
                for name, value in (
                    ("compression", terms.widened_by_compression),
                    ("time of day", terms.widened_by_schedule), ("still wide", terms.held_wide),
                )
                if value
            ),
        ),
        ("clamps", ", ".join(terms.clamps) or "none"),
    ]  # fmt: skip
    if terms.fill_decay:
        fitted = f"fitted: A {_plain(terms.fill_rate)}/s, 1/k {_plain(terms.fill_decay)}"
        rows.insert(3, ("intensity", fitted))
    for side, levels in (("bids", terms.bids), ("asks", terms.asks)):
        told = "  ".join(f"{_plain(price)} x {_plain(qty)}" for price, qty in levels)
        rows.append((side, told or "none"))
    return [f"{name:<12}{told}" for name, told in rows]


def _of_act(event: Event) -> list[str]:
    lines = []
    if event.limit is not None:
        lines.append(f"{'check':<12}limit {event.limit:,}, value {event.value:,}")
    if event.sent_bytes is not None:
        sent = event.sent_bytes
        told = f"{sent:,} bytes, with all of its batch" if sent >= 0 else f"not sent: error {sent}"
        lines.append(f"{'sent':<12}{told}")
    if event.stages_ns:
        spans = ", ".join(f"{name} {span / 1000:.1f}" for name, span in event.stages_ns.items())
        lines.append(f"{'took, µs':<12}{spans}")
    if "reference" in event.details:
        lines.append(f"{'reference':<12}{_plain(event.details['reference'])}")
    return lines


def _of_seen(seen: Seen) -> list[str]:
    lines = []
    for index, one in enumerate(seen.sources):
        mid = "no price" if one.mid is None else _plain(one.mid)
        age = "never" if one.age_ns is None else f"{one.age_ns / 1e6:.1f} ms old"
        lines.append(
            f"{'reference' if index == 0 else '':<12}{one.venue}: {one.verdict}, {mid}, basis "
            f"{_plain(one.basis)}, weight {one.weight:.2%}, {age}"
        )
    if seen.model:
        from openmm.control.views import bps

        told = seen.model
        lines += [
            f"{'model':<12}{bps(told['skew_full'])} of skew at full inventory: gamma "
            f"{told['gamma']:f} per unit of quote",
            f"{'':<12}half spread {bps(told['half'])} of sigma {bps(told['sigma'])} a root s, "
            f"1/k {bps(told['decay'])}" + (f", A {told['arrival']:f}/s" if told["arrival"] else ""),
        ]
    for index, check in enumerate(seen.checks):
        limit, value = (
            "missing" if one is None else f"{one:,}" for one in (check.limit, check.value)
        )
        lines.append(
            f"{'checks' if index == 0 else '':<12}{check.check}: limit {limit}, value {value}"
        )
    return lines
