"""Quote on one venue and hedge every fill on another, both simulated, within one program."""

import asyncio
import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from openmm import Engine, Keys, Quotes, View, parse
from openmm.engine.hedged import HedgedQuoter
from openmm.engine.hedging import Hedging
from openmm.execution.hedge import HedgeUnits
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues import connect

MONEY = {"BTC": Decimal(1)}


class JoinTheBest:
    """Quote 0.01 BTC at the best prices."""

    def quote(self, view: View) -> Quotes:
        """Return the whole ladder wanted now."""
        return Quotes([(view.best_bid_ticks, 10_000)], [(view.best_ask_ticks, 10_000)])


def endpoints(sim: SimServer) -> dict[str, str]:
    """Return where a simulated venue is reached."""
    return {"ws": sim.ws_url, "ws_auth": sim.ws_auth_url, "rest": sim.rest_url}


async def main(seconds: float = 5) -> int:
    """Start two venues, an engine on one and the hedge on the other, and tell what came of it."""
    here = SimOptions(venue="gateio", maker_fee_ppm=0, balances=MONEY | {"USDT": Decimal(60_000)})
    there = SimOptions(venue="kraken", taker_fee_ppm=400, balances=MONEY | {"USD": Decimal(60_000)})
    folder = Path(tempfile.mkdtemp())
    async with (
        SimServer(here) as quoting,
        SimServer(there) as hedge,
        connect("gateio", endpoints=endpoints(quoting)) as asked,
        connect(
            "kraken", Keys(there.api_key, there.api_secret), endpoints=endpoints(hedge)
        ) as desk,
    ):
        quoted = (await asked.get_instruments())["BTC/USDT"]
        hedged = (await desk.get_instruments())["BTC/USD"]
        units = HedgeUnits.of(quoted, hedged, Fraction(1))  # a tether counts as a dollar here
        fee_ppm = (await desk.get_fees("BTC/USD")).taker_ppm
        terms = units.terms(
            unhedged_max=Decimal("0.05"), slippage_ppm=5_000, taker_fee_ppm=fee_ppm,
            resume_ns=1_000_000_000,
        )  # fmt: skip
        limits = {"max_order_size": "0.01", "max_open_notional": "5000", "max_inventory": "0.9"}
        config = parse(
            {
                "bot": {"name": "hedged", "mode": "live", "run_dir": str(folder)},
                "venue": [{"name": "gateio", "quote": "BTC/USDT", "endpoints": endpoints(quoting)}],
                "strategy": {"kind": "python", "class": "hedge:JoinTheBest"},
                "risk": {**limits, "max_drawdown": "1%"},
            }
        )
        async with Hedging(desk, units, terms, folder / "hedge.log") as hedging:
            quoter = HedgedQuoter(JoinTheBest(), hedging, lambda: engine.tables.pipeline.table)
            engine = Engine(
                config, strategy=quoter, on_fill=hedging.on_fill,
                keys=Keys(here.api_key, here.api_secret),
            )  # fmt: skip
            hedging.on_gate = engine.requote
            async with engine:
                await asyncio.sleep(seconds)  # or whatever else the program does
            proven = await hedging.close()
        cost = hedging.machine.cost
        print(
            f"{engine.step.counters.fills} fills, {units.atom * cost.hedged_atoms:.4f} BTC hedged, "
            f"{units.atom * cost.net_atoms:+.6f} BTC unhedged, "
            f"{units.money(cost.realised_tickatoms):+.4f} USD"
        )
    return engine.exit_code or (0 if proven else 1)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
