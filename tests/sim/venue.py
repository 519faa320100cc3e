"""A simulated venue on a virtual clock, for tests: core, gateway, sessions, signed REST."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from openmm.instrument import Instrument
from openmm.sim.accounts import TIERS
from openmm.sim.core import VenueCore
from openmm.sim.dialects import KRAKEN_PAIRS as PAIRS
from openmm.venues.kraken.dialect import DialectOptions, KrakenGateway, KrakenSession
from openmm.venues.kraken.dialect_rest import KrakenRest
from tests.oracles.kraken_reader import loads

T0 = 1_700_000_000_000_000_000
NS = 1_000_000_000
BTC = PAIRS["BTC/USD"][0]
SECRET = base64.b64encode(b"a secret of tests").decode()
BUY, SELL = 1, 2
BID, ASK = 0, 1
GTC, IOC = 1, 2


class Venue:
    """One core with two accounts (keys `one` and `two`) and its wire, at a time of the test's."""

    def __init__(
        self,
        options: DialectOptions | None = None,
        tier: str = "pro",
        pair: Instrument = BTC,
        recorded: bool = False,
        fees_ppm: tuple[int, int] = (2500, 4000),
        secret: str = SECRET,
        post_only_accepted: bool = False,
    ) -> None:
        self.pair = pair
        self.now_ns = T0
        names = [pair.name] if recorded else []
        self.core = VenueCore([pair], 11, names, post_only_accepted)
        for key in ("one", "two"):
            self.core.open_account(
                key,
                base64.b64decode(secret),
                {pair.base: Decimal(10), pair.quote: Decimal(1_000_000)},
                TIERS[tier],
                *fees_ppm,
            )
        self.gateway = KrakenGateway(self.core, 11, options)
        self.http = KrakenRest(self.gateway)
        self.nonce = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * NS)
        self.core.advance(self.now_ns)

    def market(self, side: int, price: str, qty: str, tif: int = GTC) -> int:
        """Enter an order of the market."""
        return self.core.market_submit(
            self.pair.name,
            side,
            self.pair.exact_ticks(Decimal(price)),
            self.pair.exact_lots(Decimal(qty)),
            tif,
            self.now_ns,
        )

    def rest(self, name: str, key: str = "one", **params: object) -> Any:
        """Make a signed private call; return the whole answer."""
        self.nonce += 1
        body = urlencode({"nonce": self.nonce, **params}).encode()
        return self.signed(name, key, str(self.nonce), body)

    def signed(
        self, name: str, key: str, nonce: str, body: bytes, secret: str = SECRET, kind: str = ""
    ) -> Any:
        """Sign a body and send it."""
        path = f"/0/private/{name}"
        digest = hashlib.sha256(nonce.encode() + body).digest()
        mac = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512)
        headers = {
            "API-Key": key,
            "API-Sign": base64.b64encode(mac.digest()).decode(),
            "Content-Type": kind or "application/x-www-form-urlencoded",
        }
        status, text = self.http.answer("POST", path, headers, body, self.now_ns)
        assert status == 200
        return json.loads(text)

    def get(self, path: str) -> Any:
        """Make a public call."""
        return json.loads(self.http.answer("GET", path, {}, b"", self.now_ns)[1])

    def token(self, key: str = "one") -> str:
        """Fetch a WebSocket token."""
        text: str = self.rest("GetWebSocketsToken", key)["result"]["token"]
        return text

    def connect(self, private: bool = True, key: str = "one") -> Line:
        """Open a connection; a private one brings a token."""
        return Line(self, private, self.token(key) if private else "")


class Line:
    """A client's end of a session: requests out, every message kept."""

    def __init__(self, venue: Venue, private: bool, token: str) -> None:
        self.venue = venue
        self.token = token
        self.session: KrakenSession = venue.gateway.connect(venue.now_ns, private)
        self.seen: list[dict[str, Any]] = []
        self.req_id = 0
        self.poll()

    def poll(self) -> list[dict[str, Any]]:
        """Return messages that wait."""
        messages = [loads(frame) for frame in self.session.poll(self.venue.now_ns)]
        self.seen += messages
        return messages

    def raw(self, frame: bytes) -> list[dict[str, Any]]:
        """Send bytes; return every message they set off."""
        frames = self.session.on_client_frame(frame, self.venue.now_ns)
        messages = [loads(one) for one in frames]
        self.seen += messages
        return messages

    def ask(self, method: str, **params: object) -> list[dict[str, Any]]:
        """Send a request; return its replies."""
        self.req_id += 1
        if self.token and "token" not in params:
            params["token"] = self.token
        request = {"method": method, "params": params, "req_id": self.req_id}
        messages = self.raw(json.dumps(request).encode())
        return [m for m in messages if m.get("req_id") == self.req_id]

    def one(self, method: str, **params: object) -> dict[str, Any]:
        """Send a request that has one reply."""
        (reply,) = self.ask(method, **params)
        return reply

    def add(self, side: str, price: float, qty: float, **more: object) -> dict[str, Any]:
        """Place a limit order."""
        return self.one(
            "add_order",
            order_type="limit",
            side=side,
            symbol=self.venue.pair.name,
            order_qty=qty,
            limit_price=price,
            **more,
        )

    def reports(self) -> list[dict[str, Any]]:
        """Return every executions report seen, in order."""
        return [
            row
            for message in self.seen
            if message.get("channel") == "executions"
            for row in message["data"]
        ]

    def kinds(self) -> list[str]:
        """Return the kinds of every report seen, in order."""
        return [row["exec_type"] for row in self.reports()]
