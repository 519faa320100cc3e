"""Run an engine within another asyncio program, with its own strategy, on a simulated venue."""

import asyncio
import tempfile
from decimal import Decimal

from openmm import Engine, Keys, Quotes, View, parse
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer


class JoinTheBest:
    """Quote 0.01 BTC at the best prices; not on the side of which we have too much."""

    def quote(self, view: View) -> Quotes:
        """Return the whole ladder wanted now."""
        bids = [(view.best_bid_ticks, 1_000_000)] if view.x_ppm < 300_000 else []
        asks = [(view.best_ask_ticks, 1_000_000)] if view.x_ppm > -300_000 else []
        return Quotes(bids, asks)


async def main(seconds: float = 5) -> int:
    """Start a venue and an engine, let time pass, and tell what came of it."""
    options = SimOptions(maker_fee_ppm=0, balances={"BTC": Decimal(1), "USD": Decimal(60_000)})
    async with SimServer(options) as sim:
        endpoints = {"ws": sim.ws_url, "ws_auth": sim.ws_auth_url, "rest": sim.rest_url}
        limits = {"max_order_size": "0.01", "max_open_notional": "5000", "max_inventory": "0.1"}
        config = parse(
            {
                "bot": {"name": "embedded", "mode": "live", "run_dir": tempfile.mkdtemp()},
                "venue": [{"name": "kraken", "quote": "BTC/USD", "endpoints": endpoints}],
                "strategy": {"kind": "python", "class": "embed:JoinTheBest"},
                "risk": {**limits, "max_drawdown": "1%"},
            }
        )
        keys = Keys(options.api_key, options.api_secret)
        async with Engine(config, strategy=JoinTheBest(), keys=keys) as engine:
            await asyncio.sleep(seconds)  # or whatever else the program does
            page = engine.snapshot()
        profit = page.money(page.realised_ticklots + page.unrealised_ticklots)
        counts = page.counters
        print(f"{counts.placed} orders, {counts.filled} fills, {profit:+.4f} USD")
    return engine.exit_code  # 0: everything cancelled, proven and reconciled


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
