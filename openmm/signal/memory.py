"""What the estimators know outlives the process: a bot that is back within minutes goes on from it.

A volatility learnt anew from two samples is a worse one than that of a minute ago, and waiting for
them keeps the bot from quoting. What a session went on from stands in its journal, with the seeds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, final

import orjson

from openmm._fast.pipeline import Feed
from openmm.config import BotConfig, Venue
from openmm.instrument import Instrument

log = logging.getLogger(__name__)

BYTES_MAX = 1 << 20

States = dict[str, dict[str, Any]]


@final
class SignalMemory:
    """Keep the estimators' state on disk.

    A write is one call into an open file. Newer text may be shorter than older: the first line
    counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> States:
        """Return what was written last; empty when there is nothing, or nothing whole."""
        line = os.pread(self._fd, BYTES_MAX, 0).partition(b"\n")[0]
        if not line:
            return {}
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            log.warning("signals of the session before are left aside (%s): %s", error, self._path)
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace what is there."""
        os.pwrite(self._fd, orjson.dumps(states) + b"\n", 0)

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def states(
    config: BotConfig,
    instruments: Sequence[Instrument],
    feeds: Sequence[Feed],
    waits: Sequence[Sequence[int]] | None = None,
    one_sided: int = 0,
) -> States:
    """Return what the signals of each feed know, and its fit, under its venue's label.

    None of cold ones.

    Args:
        waits: what fills have left of the quoted venue's ladder (`GridStrategy.waits`).
        one_sided: side quoted alone there, to bring inventory back; 0: both.
    """
    out: States = {}
    for venue, instrument, feed in zip(config.venue, instruments, feeds, strict=True):
        told: dict[str, Any] = {}
        if feed.signals.warm:
            told["state"] = feed.signals.state()
            if feed.intensity is not None:
                told["fit"] = feed.intensity.state()
        if waits is not None and venue is config.quoted:
            told["waits"] = waits
        if one_sided and venue is config.quoted:
            told["one_sided"] = one_sided
        if told:
            out[venue.label] = _units(config, venue, instrument) | told
    return out


def seeded(
    config: BotConfig,
    instrument: Instrument,
    fit: Mapping[str, Any],
    before: Mapping[str, Any],
    now_ns: int,
) -> dict[str, Any]:
    """Return a memory whose fit of the traded book is one of a recording, as if of a moment ago.

    What else is in there stays; a fit there is replaced.

    Args:
        instrument: the traded pair, in the units of the fit.
        fit: the state of an `Intensity` with the configuration's settings.
        before: what the memory held.
    """
    venue = config.quoted
    units = _units(config, venue, instrument)
    found = before.get(venue.label)
    known = dict(found) if isinstance(found, dict) else {}
    if {key: known.get(key) for key in units} != units:
        known = units
    told = {**fit, "counted_ns": now_ns, "fitted_ns": now_ns}
    return {**before, venue.label: {**known, "fit": told}}


def go_on(
    config: BotConfig,
    instruments: Sequence[Instrument],
    feeds: Sequence[Feed],
    before: Mapping[str, Any],
    now_ns: int,
) -> States:
    """Let fresh signals and fits go on from those of an earlier session; return what was taken.

    Left aside is what is older than the half-life of the slow variance, of a fit than its own, from
    the future, of other settings or units, or damaged. What fills have left of a ladder does not
    age, nor which side was quoted alone: the position that they made is still there.
    """
    taken: States = {}
    for venue, instrument, feed in zip(config.venue, instruments, feeds, strict=True):
        found = before.get(venue.label)
        if not isinstance(found, dict):
            continue
        units = _units(config, venue, instrument)
        other = {key for key, value in units.items() if found.get(key) != value}
        if other <= {"settings"} and venue is config.quoted:
            lasting = {key: found[key] for key in ("waits", "one_sided") if key in found}
            if lasting:
                taken[venue.label] = units | lasting
        if other:
            continue
        state, fit = found.get("state"), found.get("fit")
        if _young(state, "sampled_ns", now_ns, config.signal.vol_slow_ns):
            try:
                feed.signals.restore(state)
                units["state"] = state
            except ValueError as error:
                log.warning("%s: signals begin anew: %s", venue.label, error)
        if feed.intensity is not None and _young(fit, "counted_ns", now_ns, config.signal.fit_ns):
            try:
                feed.intensity.restore(fit)
                units["fit"] = fit
            except ValueError as error:
                log.warning("%s: the fit begins anew: %s", venue.label, error)
        if "state" in units or "fit" in units:
            taken[venue.label] = taken.get(venue.label, {}) | units
    return taken


def restore(feed: Feed, taken: Mapping[str, Any]) -> None:
    """Let fresh signals of a replay go on from what the session did, as `go_on` told it."""
    if "state" in taken:
        feed.signals.restore(taken["state"])
    if "fit" in taken and feed.intensity is not None:
        feed.intensity.restore(taken["fit"])


def _young(state: Any, key: str, now_ns: int, most_ns: int) -> TypeGuard[dict[str, Any]]:
    """Whether a state is there and not too old."""
    if not isinstance(state, dict) or not isinstance(state.get(key), int):
        return False
    return bool(0 <= now_ns - state[key] <= most_ns)


def _units(config: BotConfig, venue: Venue, instrument: Instrument) -> dict[str, Any]:
    """Return what a state means only together with; a label may name another market by now."""
    return {
        "venue": venue.name,
        "options": venue.options,
        "instrument": instrument.name,
        "tick_size": str(instrument.tick_size),
        "lot_size": str(instrument.lot_size),
        "settings": config.signal.plain(),
    }
