"""What every simulated venue answers beside its own API: paths under `/sim/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.venues.counterpart import Core, OrderRecord

Query = Mapping[str, str]


def simulator_answer(
    core: Core, method: str, name: str, asked: Query, now_ns: int,
    told: Callable[[OrderRecord], object], on_fault: Callable[[Query, int], str] | None,
) -> object:  # fmt: skip
    """Answer a call of the simulator's own.

    Args:
        name: behind `/sim/`.
        told: writes an order as the venue's queries do.
        on_fault: takes a fault and returns its kind; None: no faults here.

    Raises:
        ConfigError: there is no such call.
    """
    account = int(asked.get("account", str(core.accounts[0])))
    match (method, name):
        case ("GET", "statement"):
            return core.statement(account)
        case ("GET", "open-orders"):
            return [told(order) for order in core.open_orders(account)]
        case ("GET", "config"):
            return core.config()
        case ("POST", "mode"):
            core.set_mode(SystemMode(asked.get("system", "")), now_ns)
            return {"system": core.mode.value}
        case ("POST", "fault") if on_fault is not None:
            return {"added": on_fault(asked, now_ns)}
    raise ConfigError("path", f"/sim/{name}", "statement, open-orders, config, mode, fault")
