"""Parameters and limits of a running session: what a change would do, and the way back.

What is in force is the file's, less what was tightened, with what was set since. A change is
planned as a whole before anything of it is done; the kernels' integers follow from the
configuration it makes, and go to the step in one entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, final

import orjson
from msgspec import Struct

from openmm import config as conf
from openmm._fast.book import BookState
from openmm._fast.inventory import Inventory
from openmm._fast.orders import Lane, OrderView
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.config import BotConfig, Ladder, Model
from openmm.config import change as conf_change
from openmm.config.values import PPM
from openmm.engine.wiring import Tables
from openmm.errors import CommandError, RiskError
from openmm.instrument import Instrument
from openmm.risk import limits as risk_limits
from openmm.risk.monitor import MonitorLimits
from openmm.strategy import compiled
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy

CHANGES_MAX = 64


class Kernels(Struct, frozen=True):
    """What `Step.tune` takes; None: unchanged."""

    grid: dict[str, Any] | None = None
    plan: dict[str, int] | None = None
    inventory: dict[str, int] | None = None
    limits: dict[str, int] | None = None
    monitor: MonitorLimits | None = None


class Change(Struct, frozen=True):
    """A change that may be made: what is in force before and after, and what that is to kernels."""

    before: BotConfig
    after: BotConfig
    kernels: Kernels

    def diff(self) -> list[dict[str, str]]:
        """Return every key whose value moves; those that follow from another one too."""
        before, after = shown(self.before), shown(self.after)
        return [
            {"key": key, "before": before.get(key, "off"), "after": after.get(key, "off")}
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]


def shown(config: BotConfig) -> dict[str, str]:
    """Return what can be changed, as the file would have it."""
    limits = risk_limits.shown(config)
    return {
        **conf_change.shown(config),
        **{f"risk.{key}": text for key, text in limits.items() if text is not None},
    }


def read_changes(text: str) -> dict[str, str]:
    """Read the argument of a `Set`.

    Raises:
        CommandError: no JSON object of keys and texts (`bad_change`).
    """
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"changes are a JSON object ({error})", code="bad_change") from None
    if not isinstance(told, dict) or not told or len(told) > CHANGES_MAX:
        raise CommandError(
            f"changes are a JSON object of 1 to {CHANGES_MAX} keys", code="bad_change"
        )
    for key, value in told.items():
        if not isinstance(value, str):
            raise CommandError(
                f"{key}: a text, as the file writes it; got {value!r}"[:200], code="bad_change"
            )
    return told


def _hanging(live: Sequence[OrderView], side: Side) -> int:
    """Return the levels of a side that have an order hanging, a bit each."""
    lanes = range(Lane.LANE_HANGING, Lane.LANE_FLATTEN)
    return sum(
        1 << (one.level - lanes.start) for one in live if one.side == side and one.level in lanes
    )


@final
class Tuning:
    """Hold what is in force, and the step before it.

    Args:
        file: the session's limits; nothing in force is looser.
        mid_ticks: the price that distances given as a share are of while there is no reference.
    """

    def __init__(self, file: BotConfig, tables: Tables, mid_ticks: int) -> None:
        self.file = file
        # What may be live follows from the ladder's size in a file that does not say: from that of
        # the start, for good.
        risk = file.risk.model_copy(update={"max_orders": file.max_orders})
        self.in_force = file.model_copy(update={"risk": risk})
        self.version = 0  # counts changes
        self._tables = tables
        self._mid_ticks = mid_ticks
        self._before: BotConfig | None = None

    @property
    def instrument(self) -> Instrument:
        """The traded pair."""
        return self._tables.instrument

    def check_version(self, version: str) -> None:
        """Refuse what was previewed of values that have moved since.

        Raises:
            CommandError: they have (`stale_preview`).
        """
        if version and version != str(self.version):
            raise CommandError(
                f"the values have moved since that preview: it was of version {version}, this is "
                f"{self.version}; preview again", code="stale_preview",
            )  # fmt: skip

    def plan(self, changes: Mapping[str, str]) -> Change:
        """Check a change as a whole.

        Args:
            changes: keys of [strategy] and [risk], and values as the file writes them.

        Raises:
            CommandError: a key that cannot be changed while the bot runs.
            ConfigErrors: values that are none, or that do not fit.
            RiskError: a limit looser than the file's, or none.
        """
        strategy: dict[str, str] = {}
        limits: dict[str, str] = {}
        for key, text in changes.items():
            table, _, name = key.partition(".")
            if table == "strategy" and name:
                strategy[name] = text
            elif table == "risk" and name:
                limits[name] = text
            else:
                known = [
                    *conf_change.changeable(self.in_force),
                    *(f"risk.{one}" for one in risk_limits.TIGHTENED),
                ]
                raise CommandError(
                    f"keys that can be changed are {', '.join(known)}; got {key!r}",
                    code="bad_change",
                )
        after = self.in_force
        if limits:
            after = risk_limits.tightened(self.file, after, limits)
        if strategy:
            after = conf_change.with_strategy(
                self.file, after, strategy, self.instrument, self._price()
            )
        return self._change(after)

    def plan_undo(self) -> Change:
        """Check the way back to what was in force before the last change.

        Raises:
            CommandError: there is none (`nothing_to_undo`).
        """
        if self._before is None:
            raise CommandError(
                "nothing to undo: one step back, and only once", code="nothing_to_undo"
            )
        return self._change(self._before)

    def commit(self, change: Change, *, undo: bool = False) -> None:
        """Take a change for made."""
        self._before = None if undo else self.in_force
        self.in_force = change.after
        self.version += 1

    def tightened(self) -> dict[str, str | None]:
        """Return the limits in force that are not the file's."""
        file, now = risk_limits.shown(self.file), risk_limits.shown(self.in_force)
        return {key: text for key, text in now.items() if text != file[key]}

    def changed(self) -> dict[str, str]:
        """Return every value in force that is not the file's, by its key."""
        file, now = shown(self.file), shown(self.in_force)
        return {key: text for key, text in now.items() if text != file.get(key)}

    # ------------------------------------------------------------------ what it would do

    def preview(self, change: Change, now_ns: int) -> dict[str, Any]:
        """Tell what a change would do; nothing is touched."""
        warnings = conf_change.unfit(change.after, self.instrument, self._price())
        ladder, numbers, missing = None, None, self._no_ladder()
        if not missing:
            ladder = {
                "before": self._ladder(change.before, now_ns),
                "after": self._ladder(change.after, now_ns),
            }
            if isinstance(change.after.strategy, Model):
                numbers = {
                    "before": self._model(change.before, now_ns),
                    "after": self._model(change.after, now_ns),
                }
        else:
            warnings.append(f"no ladder is shown: {missing}")
        return {
            "diff": change.diff(), "ladder": ladder, "model": numbers, "version": self.version,
            "warnings": warnings, "in_force": shown(self.in_force),
        }  # fmt: skip

    def _no_ladder(self) -> str:
        """Tell why no ladder can be made now, or nothing."""
        pipeline = self._tables.pipeline
        if isinstance(pipeline.strategy, PythonStrategy | FencedStrategy):
            return "the strategy is the user's own: only asking it would tell, and that moves it on"
        if not isinstance(pipeline.strategy, compiled.COMPILED):
            return "the strategy has no parameters of ours"
        if pipeline.reference.price_uticks is None:
            return "there is no reference price"
        if pipeline.feed.book.state is not BookState.BOOK_VERIFIED:
            return "the book is not verified"
        if not pipeline.feed.signals.warm:
            return "the signals are not warm yet"
        if not pipeline.inventory.known:
            return "the balances are not known"
        return ""

    def _ladder(self, config: BotConfig, now_ns: int) -> dict[str, list[dict[str, str]]]:
        """Compute a ladder on the market as it is, by the compiled quotes."""
        strategy, one = self._tables.pipeline.strategy, self.instrument
        assert isinstance(strategy, compiled.COMPILED)
        ladder, _ = compiled.ladder(
            config.strategy.kind, self._view(config, now_ns), self._strategy(config), one, strategy
        )
        return {
            side: [
                {"price": f"{one.price(price_ticks):f}", "qty": f"{one.qty(qty_lots):f}"}
                for price_ticks, qty_lots in ladder[side]
            ]
            for side in ("bids", "asks")
        }

    def _model(self, config: BotConfig, now_ns: int) -> dict[str, str]:
        """Tell a model's parameters, the paper's and the plain ones, on the market as it is."""
        view, fields = self._view(config, now_ns), self._strategy(config)
        _, solved = compiled.ladder(config.strategy.kind, view, fields, self.instrument)
        found = compiled.model_numbers(solved, self.instrument, fields, view["reference_uticks"])
        return {name: f"{value:f}" for name, value in found.items()}

    def _view(self, config: BotConfig, now_ns: int) -> dict[str, int]:
        """Return what the strategy would see; read, not brought up to date: that is an input."""
        pipeline = self._tables.pipeline
        signals, reference, held = pipeline.feed.signals, pipeline.reference, pipeline.inventory
        price_uticks = reference.price_uticks or 0
        stock = self._stock(config)
        assert stock is not None, "no ladder is made of balances that are not known"
        limits = risk_limits.limits(config, self.instrument)
        free = max(0, (held.quote_ticklots or 0) - limits["quote_reserve_ticklots"])
        if limits["fee_ppm"] > 0:
            free = free * PPM // (PPM + limits["fee_ppm"])
        totals, live = pipeline.table.totals(), pipeline.table.live()
        fit = pipeline.feed.intensity
        return {
            "now_ns": now_ns, "reference_uticks": price_uticks,
            "confidence_ppm": reference.confidence_ppm,
            "best_bid_ticks": signals.best_bid_ticks or 0,
            "best_ask_ticks": signals.best_ask_ticks or 0,
            "own_bid_ticks": totals.best_buy_ticks, "own_ask_ticks": totals.best_sell_ticks,
            "sigma_uticks": signals.sigma_uticks or 0, "depth_lots": signals.depth_lots,
            "depth_mean_lots": signals.depth_mean_lots,
            "spread_mean_uticks": signals.spread_mean_uticks, "flow_ppm": signals.flow_ppm,
            "x_ppm": stock.x_ppm or 0, "share_ppm": stock.share_ppm or 0,
            "target_ppm": stock.target_ppm,
            "base_lots": (held.base_lots or 0) - limits["base_reserve_lots"],
            "quote_lots_max": free * UTICKS_PER_TICK // price_uticks,
            "allow_bid": int(pipeline.allow_bid), "allow_ask": int(pipeline.allow_ask),
            "warm": int(signals.warm),
            "micro_ppm": signals.micro_ppm, "imbalance_ppm": signals.imbalance_ppm,
            "ofi_ppm": signals.ofi_ppm,
            "compression_ppm": signals.spread_compression_ppm, "q_lots": stock.q_lots or 0,
            "hanging_bids": _hanging(live, Side.BUY), "hanging_asks": _hanging(live, Side.SELL),
            "decay_uticks": 0 if fit is None else fit.decay_uticks,
            "arrival_uhz": 0 if fit is None else fit.arrival_uhz,
        }  # fmt: skip

    # ------------------------------------------------------------------ inside

    def _price(self) -> Decimal | None:
        uticks = self._tables.pipeline.reference.price_uticks
        return None if uticks is None else self.instrument.price(uticks // UTICKS_PER_TICK)

    def _change(self, after: BotConfig) -> Change:
        change = Change(self.in_force, after, self._kernels(after))
        if change.kernels.inventory is not None:
            self._keep_within(after)
        return change

    def _keep_within(self, after: BotConfig) -> None:
        """Refuse a target from which the position would be further off than its limit.

        Raises:
            RiskError: it would (`over_limit`).
        """
        held = self._stock(after)
        if held is None or held.q_lots is None:
            return
        one, now_lots = self.instrument, self._tables.pipeline.inventory.q_lots or 0
        most_lots = one.floor_lots(after.risk.max_inventory)
        if abs(held.q_lots) > max(most_lots, abs(now_lots)):
            raise RiskError(
                f"the position would be {one.qty(abs(held.q_lots)):f} {one.base} off that target, "
                f"beyond risk.max_inventory, {after.risk.max_inventory}", code="over_limit",
            )  # fmt: skip

    def _stock(self, config: BotConfig) -> Inventory | None:
        """Return the position as it would stand against a configuration's target; None: unknown."""
        pipeline = self._tables.pipeline
        held, uticks = pipeline.inventory, pipeline.reference.price_uticks
        if held.base_lots is None or held.quote_ticklots is None or uticks is None:
            return None
        stock = Inventory(**self._inventory(config))
        stock.set_balances(held.base_lots, held.quote_ticklots)
        stock.mark(uticks)
        return stock

    def _inventory(self, config: BotConfig) -> dict[str, int]:
        """Return target and scale; a scale that the file leaves out stays as it began."""
        told = conf.inventory_params(config, self.instrument)
        if config.strategy.inventory_scale is None:
            told["scale_lots"] = conf.inventory_params(self.file, self.instrument)["scale_lots"]
        return told

    def _strategy(self, config: BotConfig) -> dict[str, Any]:
        """Return the strategy's parameters; a scale that the file leaves out stays as it began."""
        scale_lots = self._inventory(config)["scale_lots"]
        return conf.strategy_params(config, self.instrument, scale_lots)

    def _kernels(self, after: BotConfig) -> Kernels:
        before, one = self.in_force, self.instrument
        grid = plan = inventory = limits = monitor = None
        if isinstance(after.strategy, Ladder) and after.strategy != before.strategy:
            grid = self._strategy(after)
        if after.strategy != before.strategy:
            uticks = self._tables.pipeline.reference.price_uticks
            ticks = self._mid_ticks if uticks is None else uticks // UTICKS_PER_TICK
            plan = {**conf.planner_params(after, ticks), **conf.rebalance_params(after, one)}
        if self._inventory(after) != self._inventory(before):
            inventory = self._inventory(after)
        if after.risk != before.risk:
            limits = risk_limits.limits(after, one)
            monitor = risk_limits.monitor_limits(after, one)
        return Kernels(grid, plan, inventory, limits, monitor)
