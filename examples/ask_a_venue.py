"""Talk to a venue by hand: the same calls whichever it is; here a simulated one."""

import asyncio
import sys

from openmm import Keys
from openmm._fast.units import Side
from openmm.errors import OpenMMError
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues import BookUpdated, PlaceOrder, advice, connect


async def main(venue: str = "gateio") -> int:
    """Ask for what is, follow a stream, place an order and take it back."""
    async with SimServer(SimOptions(venue=venue)) as sim:
        started = sim.started()
        keys = Keys(
            str(started["api_key"]), str(started["api_secret"]), str(started.get("passphrase", ""))
        )
        endpoints = {"ws": sim.ws_url, "ws_auth": sim.ws_auth_url, "rest": sim.rest_url}
        async with connect(venue, keys, endpoints=endpoints) as desk:
            pair = next(iter((await desk.get_instruments()).values()))
            ticker = await desk.get_ticker(pair.name)
            print(f"{venue} {pair.name}: {ticker.bid} / {ticker.ask}; {desk.capabilities}")
            async with await desk.market_stream(pair.name, levels=1) as stream:
                async for event in stream:
                    if isinstance(event, BookUpdated):
                        print(f"verified book: {event.book.bids[0]} {event.book.asks[0]}")
                        break
            price_ticks = pair.floor_ticks(ticker.bid * 9 / 10)
            qty_lots = pair.floor_lots(100 / ticker.bid)
            order = PlaceOrder(pair, Side.BUY, price_ticks, qty_lots, "t-by-hand")
            await desk.place_order(order)
            print("open:", [one.client_id for one in await desk.get_open_orders()])
            print("cancelled:", await desk.cancel_order(client_id=order.client_id))
            try:
                await desk.place_order(PlaceOrder(pair, Side.BUY, price_ticks, 1, "t-too-small"))
            except OpenMMError as error:
                print(f"{error.code} (retryable: {error.retryable}): {advice(error)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(*sys.argv[1:])))
