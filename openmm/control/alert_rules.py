"""What of a bot, or of the host, is an alert: pure functions of what its page says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from openmm._fast.checks import RiskState
from openmm.control.alert_file import SEVERITIES, STEP_SEVERITY, RuleFile
from openmm.control.alerts import Alert, Book, Rule
from openmm.control.views import BotState
from openmm.telemetry import MISSING, LimitPage, TelemetrySnapshot

SECOND_NS: Final = 1_000_000_000
# An alert closes once its condition has not been seen for so long: flapping is one alert.
CALM_NS: Final = 30 * SECOND_NS
# How often the book is told that a condition still lasts.
SEEN_EVERY_NS: Final = 10 * SECOND_NS
# An incident is an alert until there was no other for so long.
INCIDENT_NS: Final = 3_600 * SECOND_NS
# What a session file says until its engine ends in good order.
UNENDED: Final = ("starting", "running")


class Found(Struct, frozen=True):
    """A condition that is there now; `mark`: what of it is news when it changes."""

    rule: str
    severity: str
    bot: str
    subject: str
    text: str
    mark: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it one and the same."""
        return self.rule, self.bot, self.subject


def of_bot(state: BotState, rules: Mapping[str, RuleFile], now_ns: int) -> list[Found]:
    """Return the conditions of one bot; none of a bot that has ended in good order."""
    found: list[tuple[str, str, str, str]] = []
    page = state.page
    if state.page_state == "dead":
        found.append(("engine_silent", "", "the engine is gone without a farewell", ""))
    elif state.page_state == "stale" and page is not None:
        found.append(("engine_silent", "", "the engine publishes nothing", ""))
    elif state.running and state.page_state == "unreadable":
        found.append(("engine_silent", "", f"its page cannot be read: {state.page_error}", ""))
    elif not state.running and page is None and state.session.get("state") in UNENDED:
        # It died while writing its page, or before the first: its session never ended.
        found.append(("engine_silent", "", "the engine is gone without a farewell", ""))
    if page is not None and state.page_state in ("alive", "stale"):
        found += _of_page(page, rules, now_ns)
    made = [
        Found(rule, rules[rule].severity, state.bot, subject, text, mark)
        for rule, subject, text, mark in found
    ]
    if page is not None and state.page_state in ("alive", "stale"):
        made += _drawdowns(page, rules)
    return [one for one in made if rules[one.rule].enabled]


def of_disk(free_bytes: int, rules: Mapping[str, RuleFile], folder: str) -> list[Found]:
    """Return the condition of the disk that the bots write to."""
    rule = rules["disk_low"]
    if not rule.enabled or free_bytes >= rule.most:
        return []
    text = f"{free_bytes / 2**30:.2f} GiB left, less than {rule.most / 2**30:.2f}: {folder}"
    return [Found("disk_low", rule.severity, "", "disk", text)]


def _of_page(
    page: TelemetrySnapshot, rules: Mapping[str, RuleFile], now_ns: int
) -> Iterator[tuple[str, str, str, str]]:
    if page.risk_state == RiskState.HALTED:
        yield "halt", page.session, f"halted: {page.risk_reason}", ""
    if page.open_incidents:
        yield "incident", "money", f"{page.open_incidents} not reconciled", ""
    if page.counters.incidents:
        text = f"{page.counters.incidents} in the session, the last: {page.incident}"
        yield "incident", page.session, text, str(page.counters.incidents)
    for venue in page.venues:
        label = venue.label.decode("utf-8", "replace")
        if venue.broken_ns > rules["book_broken"].after_ns:
            yield "book_broken", label, f"not verified for {venue.broken_ns / 1e9:.0f} s", ""
        # A connection that never brought anything is silent since the start.
        age_ns = venue.age_ns if venue.age_ns != MISSING else page.heartbeat_ns - page.started_ns
        if age_ns > rules["venue_down"].after_ns:
            yield "venue_down", label, f"silent for {age_ns / 1e9:.0f} s", ""
        if venue.rate_used_ppm >= rules["rate_budget"].most * 10_000:
            used = venue.rate_used_ppm / 10_000
            yield "rate_budget", label, f"{used:.0f} % of the rate budget is used", ""
    offset = page.limit("clock_offset")
    if _percent(offset) >= rules["clock_offset"].most:
        text = f"{offset.used / 1e6:.0f} ms, {_percent(offset)} % of the limit"
        yield "clock_offset", "", text, ""
    last_ns = page.fills[0].ts_ns if page.fills else page.started_ns
    quiet_ns = now_ns - max(last_ns, page.started_ns)
    if page.risk_state == RiskState.RUNNING and quiet_ns > rules["no_fills"].after_ns:
        yield "no_fills", "", f"no fill for {quiet_ns / 3_600e9:.1f} hours", ""
    used_percent = page.tape_unread_bytes * 100 // max(1, page.tape_size_bytes)
    if page.tape_lost:
        yield "writer_behind", "", f"{page.tape_lost} records are lost", ""
    elif used_percent >= rules["writer_behind"].most:
        yield "writer_behind", "", f"the tape is {used_percent} % full", ""


def _percent(limit: LimitPage) -> int:
    """Return what is used of a limit in percent, 0 where it is not set or not known."""
    if MISSING in limit or limit.limit <= 0:
        return 0
    return limit.used * 100 // limit.limit


def _drawdowns(page: TelemetrySnapshot, rules: Mapping[str, RuleFile]) -> Iterator[Found]:
    for name in ("drawdown", "drawdown_peak"):
        row = page.limit(name)
        used = _percent(row)
        if used < rules["drawdown"].most:
            continue
        step = max((one for one in STEP_SEVERITY if one <= used), default=min(STEP_SEVERITY))
        text = f"a loss of {row.used / 10_000:.3f} %, {used} % of the limit"
        yield Found("drawdown", STEP_SEVERITY[step], page.bot, name, text)


def lasting(
    found: Iterable[Found], since: dict[tuple[str, str, str], int], book: Book,
    rules: Mapping[str, RuleFile], now_ns: int,
) -> list[Found]:  # fmt: skip
    """Return the conditions that last long enough, or are alerts already.

    Args:
        since: when each was seen first; kept by the caller between looks, changed here.
    """
    found = list(found)
    keys = {one.key for one in found}
    for gone in [key for key in since if key not in keys]:
        del since[gone]
    known = {(one.rule, one.bot, one.subject) for one in book.open()}
    # What the page itself tells the span of has been held against it already.
    told = ("book_broken", "venue_down", "no_fills")
    return [
        one for one in found
        if one.key in known or one.rule in told
        or now_ns - since.setdefault(one.key, now_ns) >= rules[one.rule].after_ns
    ]  # fmt: skip


def enter(book: Book, found: Sequence[Found], now_ns: int) -> bool:
    """Open, renew and close alerts by what is found; tell whether anything changed."""
    changed = False
    there = {(one.rule, one.bot, one.subject): one for one in book.open()}
    for one in found:
        held = there.pop(one.key, None)
        if held is None:
            changed |= _opened(book, one, now_ns)
            continue
        # Only graver: a loss that shrinks is no news, and stays one alert until it is gone.
        severity = max(one.severity, held.severity, key=SEVERITIES.index)
        news = severity != held.severity or one.mark != held.mark
        if not news and now_ns - held.seen_ns < SEEN_EVERY_NS:
            continue
        if one.mark != held.mark:
            held.acknowledged_by, held.acknowledged_ns = "", 0
        if news:
            held.mark, held.fresh_ns = one.mark, now_ns
        if severity != held.severity:
            # Graver: told at once, as if nobody had been.
            held.told = dict.fromkeys(held.told, 0)
        book.see(one.rule, severity, one.bot, one.subject, one.text, now_ns)
        changed = True
        if one.mark and now_ns - held.fresh_ns > INCIDENT_NS:
            book.close(held, now_ns)
    for held in there.values():
        if now_ns - held.seen_ns >= CALM_NS:
            book.close(held, now_ns)
            changed = True
    return changed


def _opened(book: Book, one: Found, now_ns: int) -> bool:
    passed = [gone for gone in book.alerts if gone.closed_ns and _same(gone, one)]
    if one.mark and any(gone.mark == one.mark for gone in passed):
        # Told, and over: only more of it is another alert.
        return False
    made = book.see(one.rule, one.severity, one.bot, one.subject, one.text, now_ns)
    made.mark, made.fresh_ns = one.mark, now_ns
    return True


def _same(alert: Alert, one: Found) -> bool:
    return (alert.rule, alert.bot, alert.subject) == one.key


def listed_rules(rules: Mapping[str, RuleFile]) -> list[Rule]:
    """Return the rules that are watched, as the book shows them."""
    return [Rule(name, one.severity, one.text) for name, one in rules.items() if one.enabled]
