"""The same job in Python: on picows, on websockets, with ccxt.pro; in the peers' environment.

`python peer.py picows|websockets|ccxt PUBLIC_PORT PRIVATE_PORT LEVELS QUICKACK [PEM]`.

Decodes with orjson into a SortedDict a side, compares the checksum, makes the grid, checks each
order, writes and sends the amends. ccxt.pro keeps its own book and places one order a tick by
`create_order_ws`.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import sys
import time
import zlib
from typing import Any, final

import orjson
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

DEPTH = 25
SUBSCRIBE = (
    b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":25},"req_id":1}'
)
READY = b'{"method":"ready"}'
TOKEN = "T" * 43


@final
class Job:
    """One instrument's book and the quotes on it."""

    def __init__(self, levels: int) -> None:
        self.bids: SortedDict = SortedDict()
        self.asks: SortedDict = SortedDict()
        self.levels = levels
        self.price = [[1.0] * levels, [1e9] * levels]
        self.pending: set[str] = set()
        self.request = 0
        self.position = 0.0

    def apply(self, data: bytes) -> bool:
        """Take a frame of market data; whether it was a tick."""
        message = orjson.loads(data)
        if message.get("channel") != "book":
            return False
        bids, asks = self.bids, self.asks
        book = message["data"][0]
        if message["type"] == "snapshot":
            bids.clear()
            asks.clear()
        for side, levels in ((bids, book["bids"]), (asks, book["asks"])):
            for level in levels:
                if level["qty"]:
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
        while len(bids) > DEPTH:
            bids.popitem(0)
        while len(asks) > DEPTH:
            asks.popitem(-1)
        text = "".join(
            f"{price:.1f}".replace(".", "").lstrip("0") + f"{qty:.8f}".replace(".", "").lstrip("0")
            for price, qty in [*asks.items()[:10], *reversed(bids.items()[-10:])]
        )
        assert zlib.crc32(text.encode()) == book["checksum"], "checksum differs"
        return bool(message["type"] == "update")

    def quote(self) -> list[bytes]:
        """Return the requests that this tick asks for."""
        bid, ask = self.bids.peekitem(-1)[0], self.asks.peekitem(0)[0]
        mid = (bid + ask) / 2
        centre = mid - self.position * mid * 100e-6
        half, step = mid * 120e-6, mid * 50e-6
        stamp = time.time() + 5
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp))
        deadline = f"{whole}.{int(stamp % 1 * 1000):03d}Z"
        out = []
        for i in range(self.levels):
            for side in (0, 1):
                away = half + step * i
                price = round(centre + away, 1) if side else round(centre - away, 1)
                price = max(price, bid + 0.1) if side else min(price, ask - 0.1)
                if abs(price - self.price[side][i]) < 0.15:
                    continue
                name = f"mpyt0000001{2 * i + side:07d}"
                if not self._approved(side, price, mid, bid, ask) or name in self.pending:
                    continue
                self.price[side][i] = price
                self.pending.add(name)
                self.request += 1
                out.append(
                    b'{"method":"amend_order","params":{"cl_ord_id":"%b","limit_price":%.1f,'
                    b'"order_qty":0.01000000,"post_only":true,"deadline":"%b","token":"%b"},'
                    b'"req_id":%d}'
                    % (name.encode(), price, deadline.encode(), TOKEN.encode(), self.request)
                )
        return out

    def _approved(self, side: int, price: float, mid: float, bid: float, ask: float) -> bool:
        qty = 0.01
        inside = mid * 0.95 < price < mid * 1.05 and (price > bid if side else price < ask)
        others = self.price[1 - side]
        free = price > max(others) if side else price < min(others)
        return (
            inside and free and 0.0001 <= qty <= 0.1 and price * qty < 10_000
            and price * qty * 2 * self.levels < 1_000_000 and abs(self.position) + qty < 1.5
        )  # fmt: skip

    def on_reply(self, data: bytes | str) -> None:
        """Take a message of the order connection."""
        message = orjson.loads(data)
        if message.get("method") == "amend_order" and message["success"]:
            self.pending.discard(message["result"]["cl_ord_id"])


def set_quickack(sock: socket.socket, on: bool) -> None:
    """Set when received bytes are acknowledged."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, int(on))


def trust(certificate: str) -> ssl.SSLContext | None:
    """Return a context that trusts the venue's certificate; None without TLS."""
    return ssl.create_default_context(cafile=certificate) if certificate else None


async def on_picows(urls: list[str], job: Job, quickack: bool, tls: ssl.SSLContext | None) -> None:
    """Run on picows, with Python listeners."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    class Market(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT and job.apply(frame.get_payload_as_bytes()):
                for request in job.quote():
                    private.send(WSMsgType.TEXT, request)

    class Private(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                job.on_reply(frame.get_payload_as_bytes())

    market, _ = await ws_connect(Market, urls[0], ssl_context=tls)
    set_quickack(market.underlying_transport.get_extra_info("socket"), quickack)
    market.send(WSMsgType.TEXT, SUBSCRIBE)
    private, _ = await ws_connect(Private, urls[1], ssl_context=tls)
    private.send(WSMsgType.TEXT, READY)
    await market.wait_disconnected()


async def on_websockets(
    urls: list[str], job: Job, quickack: bool, tls: ssl.SSLContext | None
) -> None:
    """Run on websockets."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    options: dict[str, Any] = {"compression": None, "ping_interval": None, "ssl": tls}
    market = await connect(urls[0], **options)
    set_quickack(market.transport.get_extra_info("socket"), quickack)
    await market.send(SUBSCRIBE.decode())
    private = await connect(urls[1], **options)
    await private.send(READY.decode())

    async def replies() -> None:
        async for message in private:
            job.on_reply(message)

    reading = asyncio.create_task(replies())
    try:
        while True:
            if job.apply(await market.recv(decode=False)):
                for request in job.quote():
                    await private.send(request, text=True)
    except ConnectionClosed:
        reading.cancel()


async def on_ccxt(urls: list[str], levels: int) -> None:
    """Run ccxt.pro, its addresses those of the bench; one order a tick."""
    import ccxt.pro  # type: ignore[import-not-found]

    venue = ccxt.pro.kraken({"apiKey": "k", "secret": "c2VjcmV0", "enableRateLimit": False})
    venue.urls["api"]["ws"] |= {
        "public": urls[0], "private": urls[1], "publicV2": urls[0], "privateV2": urls[1]
    }  # fmt: skip
    market = {
        "id": "XXBTZUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "baseId": "XXBT",
        "quoteId": "ZUSD", "type": "spot", "spot": True, "active": True, "wsId": "XBT/USD",
        "altname": "XBTUSD", "precision": {"price": 0.1, "amount": 1e-8},
        "limits": {"amount": {"min": 0.00005}, "price": {}, "cost": {"min": 0.5}},
        "info": {"wsname": "XBT/USD"},
    }  # fmt: skip
    venue.set_markets([market])
    venue.options["marketsByWsName"] = {"XBT/USD": market, "BTC/USD": market}

    async def token(_params: object = None) -> str:
        return TOKEN

    venue.authenticate = token
    await venue.watch_order_book("BTC/USD", DEPTH)
    # The venue takes the first order for the sign to begin.
    await venue.create_order_ws("BTC/USD", "limit", "buy", 0.01, 50_000.0, {"postOnly": True})
    while True:
        book = await venue.watch_order_book("BTC/USD", DEPTH)
        mid = (book["bids"][0][0] + book["asks"][0][0]) / 2
        half, step = mid * 120e-6, mid * 50e-6
        bids = [round(mid - half - step * i, 1) for i in range(levels)]
        asks = [round(mid + half + step * i, 1) for i in range(levels)]
        if not bids[0] < asks[0] or not mid * 0.95 < bids[-1] or not asks[-1] < mid * 1.05:
            continue
        await venue.create_order_ws("BTC/USD", "limit", "buy", 0.01, bids[0], {"postOnly": True})


def main(
    kind: str, public: str, private: str, levels: str, quickack: str, certificate: str = ""
) -> None:
    """Run one peer until the venue ends."""
    tls = trust(certificate)
    scheme = "wss" if certificate else "ws"
    urls = [f"{scheme}://127.0.0.1:{port}/v2" for port in (public, private)]
    gc.collect()
    gc.freeze()
    job = Job(int(levels))
    if kind == "picows":
        work = on_picows(urls, job, quickack == "1", tls)
    elif kind == "websockets":
        work = on_websockets(urls, job, quickack == "1", tls)
    else:
        work = on_ccxt(urls, int(levels))
    asyncio.run(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
