"""A session's way through the rules of going live: admitted, sized, funded, put on record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import final

from msgspec.structs import replace

from openmm.clock import Clock
from openmm.config import BotConfig, default_run_dir
from openmm.engine import admission
from openmm.engine.rundir import RunDir
from openmm.errors import RiskError
from openmm.instrument import Instrument
from openmm.venues.connector import Keys

log = logging.getLogger(__name__)


@final
class LiveGate:
    """What one session may do at the venue it trades on.

    Args:
        config: as it was handed over, before any canary made it smaller.
        canary: this session is to be of canary size, whatever was confirmed.
    """

    def __init__(self, config: BotConfig, keys: Keys | None, clock: Clock, *, canary: bool) -> None:
        self._config = config
        self._key = "" if keys is None else keys.key
        self._clock = clock
        self._canary = canary
        self._admitted = admission.Admission(real=False)

    @property
    def _folder(self) -> Path:
        bot = self._config.bot
        return RunDir(bot.run_dir or default_run_dir(), bot.name).path

    def admit(self) -> None:
        """Refuse orders to a real venue that nobody has confirmed.

        Raises:
            RiskError: they are refused; the text says what to do.
        """
        config, folder = self._config, self._folder
        doctor = live = None
        if admission.goes_live(config):
            doctor = admission.read_record(admission.doctor_path(folder), admission.Doctored)
            live = admission.read_record(admission.live_path(folder), admission.Live)
        self._admitted = admission.admit(
            config, self._key, doctor, live, self._clock.now_ns(), canary=self._canary
        )

    def sized(self, config: BotConfig, instrument: Instrument, mid: Decimal) -> BotConfig:
        """Return the configuration at the size this session may trade."""
        if not self._admitted.canary:
            return config
        small = admission.canary_config(config, instrument, mid)
        log.warning(
            "canary size: orders of %s %s at most, %s %s open at once", small.risk.max_order_size,
            instrument.base, small.risk.max_open_notional, instrument.quote,
        )  # fmt: skip
        return small

    def check_capital(
        self, config: BotConfig, instrument: Instrument, mid: Decimal, held: Mapping[str, Decimal]
    ) -> None:
        """Refuse an account that holds less than was allotted to the bot.

        Raises:
            RiskError: it does.
        """
        allotted = config.bot.capital is not None and config.bot.mode == "live"
        if not self._admitted.real and not allotted:
            return
        if problem := admission.capital_problem(config, instrument, mid, held):
            raise RiskError(problem, venue=config.quoted.name, code="capital")

    def note_start(self) -> None:
        """Let the same file start again without another doctor; how a canary ends is open."""
        live = self._record()
        if live is not None:
            started = admission.after_start(live, self._config, self._admitted)
            admission.write_record(admission.live_path(self._folder), started)

    def note_end(self, session: str, clean: bool, fills: int) -> None:
        """Put on record how a canary ended.

        Args:
            clean: nothing is open, at the venue or of the money, and nothing failed or halted.
        """
        live = self._record()
        if live is not None and self._admitted.canary:
            ended = admission.Canary(session, self._clock.now_ns(), clean, fills)
            admission.write_record(admission.live_path(self._folder), replace(live, canary=ended))

    def _record(self) -> admission.Live | None:
        if not self._admitted.real:
            return None
        return admission.read_record(admission.live_path(self._folder), admission.Live)
