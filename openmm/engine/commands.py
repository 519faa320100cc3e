"""What an operator may tell a running bot, and how that is written on the command socket.

One JSON object a line. Request: `{"id", "command", "args", "caller": {"surface", "user"}}`. Reply:
`{"id", "ok": true, "result"}` or `{"id", "ok": false, "error": {"code", "message"}}`. A caller may
also tell a `client` and its `caps`: who is behind the surface, and what the engine lets them use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import orjson
from msgspec import Struct
from msgspec.structs import asdict

from openmm.errors import CommandError

LINE_BYTES_MAX = 1 << 16
TEXT_CHARS_MAX = 500
CHANGES_CHARS_MAX = 8_000
KEY_CHARS_MAX = 128
AMOUNT_MAX = Decimal(10**8)  # far inside of the ledger's integers: a typing error stops no writer
AMOUNT_DECIMALS_MAX = 30  # zeros at the end count


# `key` of a command that acts: told again with the same arguments it does nothing and gets the
# first reply; with others it is refused. Kept by client.


class Halt(Struct, frozen=True):
    """Cancel everything and quote no more until resumed."""

    reason: str = ""
    key: str = ""


class Pause(Struct, frozen=True):
    """Withdraw the quotes until resumed; no alarm."""

    reason: str = ""
    key: str = ""


class Resume(Struct, frozen=True):
    """Leave a pause or a halt, and end a flatten.

    Args:
        version: `risk_moves` of the status that was looked at; it must not have moved since.
    """

    reason: str = ""
    key: str = ""
    version: str = ""


class Tighten(Struct, frozen=True):
    """Change limits of the running session, within the file's; by their keys in `[risk]`."""

    max_order_size: str = ""
    min_order_size: str = ""
    max_order_notional: str = ""
    max_open_notional: str = ""
    max_inventory: str = ""
    max_drawdown: str = ""
    max_drawdown_peak: str = ""
    price_collar: str = ""
    max_orders: str = ""
    max_message_age: str = ""
    max_clock_offset: str = ""
    max_slippage: str = ""
    fills_per_minute: str = ""
    rejects_per_minute: str = ""
    post_only_per_minute: str = ""
    cancels_per_minute: str = ""
    base_reserve: str = ""
    quote_reserve: str = ""
    key: str = ""

    def changes(self) -> dict[str, str]:
        """Return the limits that are given."""
        return {name: text for name, text in asdict(self).items() if text and name != "key"}


class Set(Struct, frozen=True):
    """Change parameters and limits of the running session, all of them or none.

    Args:
        changes: a JSON object of keys and values as the file writes them, both texts, such as
            `{"strategy.spread": "0.4%", "risk.max_order_size": "0.02"}`. Limits never looser than
            the file's.
        version: of the values a preview was made of; refused when they have moved since.
    """

    changes: str = ""
    version: str = ""
    key: str = ""


class Preview(Struct, frozen=True):
    """Tell what a `Set` would change, and the ladder it would give; `undo` = "yes": an `Undo`."""

    changes: str = ""
    undo: str = ""


class Undo(Struct, frozen=True):
    """Take the last change of parameters or limits back, one step, never looser than the file."""

    version: str = ""
    key: str = ""


class Place(Struct, frozen=True):
    """Place one post-only limit order by hand, through every check.

    Args:
        side: `buy` or `sell`.
        qty: of the base asset; a whole number of lots.
        price: in the quote asset; a whole number of ticks.
    """

    side: str = ""
    qty: str = ""
    price: str = ""
    reason: str = ""
    key: str = ""


class Cancel(Struct, frozen=True):
    """Cancel one live order, by client id, venue id or number, or `all`; the bot quotes on."""

    order: str = ""
    reason: str = ""
    key: str = ""


class Flatten(Struct, frozen=True):
    """Cancel all, bring the position to its target by reducing orders only, then pause.

    Args:
        version: as of `Resume`.
    """

    reason: str = ""
    key: str = ""
    version: str = ""


class Orders(Struct, frozen=True):
    """List the live orders: ids, price, quantities, state, age, and who placed them."""


class Stop(Struct, frozen=True):
    """Cancel everything, prove that nothing is open, and end the process."""

    reason: str = ""
    key: str = ""


class Cost(Struct, frozen=True):
    """Post a cost that no fill carries, paid from another account than the venue's.

    Once per `ref` and asset: told again, it changes nothing.

    Args:
        asset: what it was paid in.
        amount: exact decimal text; negative: given back.
        ref: what makes it the same cost, such as the hash of the transaction.
        name: what it was for: `gas`, `hedge`.
        account: what paid: `wallet:base`, `hedge:perp`.
    """

    asset: str = ""
    amount: str = ""
    ref: str = ""
    name: str = ""
    account: str = ""

    def checked(self) -> Decimal:
        """Return the amount; raise CommandError naming the argument that will not do."""
        for key, value, form, allowed in (
            ("asset", self.asset, r"[A-Z0-9.]{1,16}", "an asset's name, such as ETH"),
            ("ref", self.ref, r"\S{1,128}", "1 to 128 characters without spaces"),
            ("name", self.name, r"[a-z][a-z0-9-]{0,31}", "a word of a-z, 0-9 and -, such as gas"),
            ("account", self.account, r"(wallet|hedge):[A-Za-z0-9._-]{1,64}",
             "wallet:<name> or hedge:<name>"),
        ):  # fmt: skip
            if not re.fullmatch(form, value):
                raise CommandError(f"{key} of a cost is {allowed}; got {_short(value)}")
        try:
            amount = Decimal(self.amount)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or not amount or amount.copy_abs() > AMOUNT_MAX:
            allowed = f"a number, not 0, of at most {AMOUNT_MAX}"
            raise CommandError(f"amount of a cost is {allowed}; got {_short(self.amount)}")
        return amount


class Status(Struct, frozen=True):
    """Tell the state in short; shows that the loop answers."""


class Adjust(Struct, frozen=True):
    """Correct what the books say of an asset, by name; once for each key, in one session."""

    asset: str = ""
    amount: str = ""
    why: str = ""
    key: str = ""
    session: str = ""


class Incidents(Struct, frozen=True):
    """List the incidents of the money that are open; `which` = "all": the others too."""

    which: str = ""


Command: TypeAlias = (
    Halt | Pause | Resume | Tighten | Stop | Cost | Status | Adjust | Incidents | Set | Preview
    | Undo | Place | Cancel | Flatten | Orders
)  # fmt: skip
# They change nothing, and leave no record.
READS = (Status, Incidents, Preview, Orders)
COMMANDS: dict[str, type[Command]] = {
    "halt": Halt,
    "pause": Pause,
    "resume": Resume,
    "tighten": Tighten,
    "stop": Stop,
    "cost": Cost,
    "status": Status,
    "adjust": Adjust,
    "incidents": Incidents,
    "set": Set,
    "preview": Preview,
    "undo": Undo,
    "place": Place,
    "cancel": Cancel,
    "flatten": Flatten,
    "orders": Orders,
}


class Caller(Struct, frozen=True):
    """Who sent a command. `uid` and `pid` come from the kernel, the rest is what they say.

    Args:
        client: whom the surface has authenticated; "": the bot's own user, who has no caps.
        caps: of the client, exact texts: `orders_per_minute`, and `order_notional` and
            `notional_per_hour` in the quote asset. What is left out is none at all.
    """

    surface: str
    user: str
    uid: int = -1
    pid: int = -1
    client: str = ""
    caps: Mapping[str, str] = {}

    def __str__(self) -> str:
        """Format for the journal and the log."""
        behind = f" for {self.client}" if self.client else ""
        return f"{self.user} by {self.surface}{behind} (uid {self.uid}, pid {self.pid})"


class Request(Struct, frozen=True):
    """A command with its number and its sender."""

    id: int
    command: Command
    caller: Caller


def name_of(command: Command) -> str:
    """Return a command's name on the wire."""
    return type(command).__name__.lower()


def encode_request(request: Request) -> bytes:
    """Write a request as one line."""
    body = {
        "id": request.id,
        "command": name_of(request.command),
        "args": asdict(request.command),
        "caller": {
            "surface": request.caller.surface,
            "user": request.caller.user,
            "client": request.caller.client,
            "caps": dict(request.caller.caps),
        },
    }
    return orjson.dumps(body) + b"\n"


def decode_request(line: bytes, uid: int = -1, pid: int = -1) -> Request:
    """Read a request; `uid` and `pid` are the sender's, by the kernel.

    Raises:
        CommandError: no JSON, an unknown command or argument, or a value of another type.
    """
    body = _object(line, "request")
    number, name, caller = body.get("id"), body.get("command"), body.get("caller")
    if not isinstance(number, int) or isinstance(number, bool):
        raise CommandError(f"a request's id is an integer; got {_short(number)}")
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CommandError(f"known commands are {', '.join(COMMANDS)}; got {_short(name)}")
    args = body.get("args", {})
    if not isinstance(args, dict):
        raise CommandError(f"a command's args are an object; got {_short(args)}")
    known = kind.__struct_fields__
    for key, value in args.items():
        if key not in known:
            raise CommandError(
                f"{name} takes {', '.join(known) or 'no argument'}; got {_short(key)}"
            )
        most = {"changes": CHANGES_CHARS_MAX, "key": KEY_CHARS_MAX}.get(key, TEXT_CHARS_MAX)
        if not isinstance(value, str) or len(value) > most:
            allowed = f"a text of at most {most} characters"
            raise CommandError(f"{name}.{key} is {allowed}; got {_short(value)}")
    if not isinstance(caller, dict) or not all(
        isinstance(caller.get(key), str) and len(caller[key]) <= TEXT_CHARS_MAX
        for key in ("surface", "user")
    ):
        raise CommandError(f"a caller tells surface and user; got {_short(caller)}")
    client, caps = caller.get("client", ""), caller.get("caps", {})
    if not isinstance(client, str) or len(client) > TEXT_CHARS_MAX:
        raise CommandError(f"a client is a name; got {_short(client)}")
    if not isinstance(caps, dict) or not all(
        isinstance(text, str) and len(text) <= TEXT_CHARS_MAX for text in caps.values()
    ):
        raise CommandError(f"caps are an object of texts; got {_short(caps)}")
    told = Caller(caller["surface"], caller["user"], uid, pid, client, caps)
    return Request(number, kind(**args), told)


def encode_reply(number: int | None, result: dict[str, Any]) -> bytes:
    """Write a reply of success as one line."""
    return orjson.dumps({"id": number, "ok": True, "result": result}) + b"\n"


def encode_error(
    number: int | None, code: str, message: str, details: Mapping[str, str] | None = None
) -> bytes:
    """Write a reply of failure as one line; `details`: what a machine may want to read of it."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = dict(details)
    return orjson.dumps({"id": number, "ok": False, "error": error}) + b"\n"


def decode_reply(line: bytes, number: int) -> dict[str, Any]:
    """Read the reply to request `number`; return its result.

    Raises:
        CommandError: the bot refused (its own words), or the line is no such reply.
    """
    body = _object(line, "reply")
    if body.get("ok") is False and isinstance(error := body.get("error"), dict):
        details = error.get("details")
        raise CommandError(
            str(error.get("message")), code=str(error.get("code")),
            details=details if isinstance(details, dict) else None,
        )  # fmt: skip
    result = body.get("result")
    if body.get("ok") is not True or body.get("id") != number or not isinstance(result, dict):
        raise CommandError(f"not the reply to request {number}; got {_short(body)}")
    return result


def _object(line: bytes, what: str) -> dict[str, Any]:
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"a {what} is one JSON object a line ({error})") from None
    if not isinstance(body, dict):
        raise CommandError(f"a {what} is one JSON object a line; got {_short(body)}")
    return body


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
