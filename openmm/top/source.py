"""What the terminal dashboard knows of a bot: its page, its session's limits, and a short past."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm.control.views import BotState, look, page_view
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError

POINTS_MAX: Final = 600


class Point(Struct, frozen=True):
    """Prices of one moment; None: not known then, or no order on that side."""

    reference: Decimal | None
    bid: Decimal | None  # our best
    ask: Decimal | None


class Use(Struct, frozen=True):
    """A limit, and how much of it is used: decimals of one unit."""

    name: str
    used: Decimal
    limit: Decimal
    unit: str

    @property
    def share(self) -> Decimal:
        """Return used over limit; 1 where the limit is nothing."""
        return self.used / self.limit if self.limit else Decimal(1)


@final
class Watched:
    """One bot, as it was last looked at."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir = run_dir
        self.points: deque[Point] = deque(maxlen=POINTS_MAX)
        self.state: BotState | None = None
        self.view: dict[str, Any] = {}
        self._session = ""

    @property
    def name(self) -> str:
        """The bot's name."""
        return self.run_dir.bot

    def look(self, now_ns: int) -> None:
        """Read its folder and page once."""
        try:
            self.state = look(self.run_dir, now_ns)
        except CommandError:
            # Its session file is being replaced, or damaged: `openmm status` says so.
            self.state, self.view = None, {}
            return
        page = self.state.page
        self.view = {} if page is None else page_view(page, now_ns)
        if not self.view or not self.state.running:
            return
        if self.view["session"] != self._session:
            self._session = self.view["session"]
            self.points.clear()
        orders = self.view["orders"]
        self.points.append(
            Point(
                self.view["reference"]["price"],
                max((one["price"] for one in orders["bids"]), default=None),
                min((one["price"] for one in orders["asks"]), default=None),
            )
        )

    @property
    def phase(self) -> str:
        """Say in one word how it is: its risk state, or why there is none."""
        if self.state is None:
            return "unreadable"
        if not self.state.running:
            return "ended" if self.state.page_state in ("ended", "absent") else "dead"
        if self.state.page_state != "alive":
            return "starting" if not self.view else self.state.page_state
        return str(self.view["risk_state"])


def uses(view: Mapping[str, Any], session: Mapping[str, Any]) -> list[Use]:
    """Return each limit whose use the page shows: those of the session's file, as tightened."""
    config = session.get("config") or {}
    risk: dict[str, Any] = dict(config.get("risk") or {})
    risk |= session.get("tightened") or {}
    base, quote = view["inventory"]["base_asset"], view["inventory"]["quote_asset"]
    live = [*view["orders"]["bids"], *view["orders"]["asks"]]
    rows: list[tuple[str, Decimal, Decimal | None, str]] = [
        (
            "inventory", abs(view["inventory"]["off_target"]),
            _decimal(risk.get("max_inventory")), base,
        ),
        (
            "notional", sum((_left(one) * one["price"] for one in live), Decimal(0)),
            _decimal(risk.get("max_open_notional")), quote,
        ),
        (
            "order", max((_left(one) for one in live), default=Decimal(0)),
            _decimal(risk.get("max_order_size")), base,
        ),
        (
            "drawdown", Decimal(view["pnl"]["drawdown_ppm"]) / 10_000,
            _percent(risk), "%",
        ),
        ("rate", view["rate"]["level"], view["rate"]["threshold"], ""),
    ]  # fmt: skip
    return [Use(name, used, limit, unit) for name, used, limit, unit in rows if limit is not None]


def _left(order: Mapping[str, Any]) -> Decimal:
    found: Decimal = order["qty"] - order["filled"]
    return found


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _percent(risk: Mapping[str, Any]) -> Decimal | None:
    """Return the drawdown's limit in per cent, from the file's text or its parts per million."""
    text = risk.get("max_drawdown")
    if isinstance(text, str) and text.endswith("%"):
        return Decimal(text[:-1])
    ppm = risk.get("max_drawdown_ppm")
    return None if ppm is None else Decimal(int(ppm)) / 10_000
