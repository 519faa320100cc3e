"""What to do about a venue's error, in one sentence for people; programs act on its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openmm.errors import OpenMMError, ProtocolError, TransportError
from openmm.venues.faults import Code

ADVICE: Final[Mapping[Code, str]] = {
    Code.FUNDS: "lower the quantity, or free what other orders hold: get_balance tells",
    Code.POST_ONLY: "price it anew: at this price the order would have taken",
    Code.PRICE: "use a price on the instrument's tick: get_instruments tells it",
    Code.MINIMUM: "raise quantity or notional to the instrument's minimum",
    Code.ORDERS_LIMIT: "cancel orders first: too many are open",
    Code.RATE_LIMIT: "wait, then send fewer orders: the venue's order rate is used up",
    Code.UNKNOWN_ORDER: "look it up with get_order and get_fills: it may have been filled",
    Code.NO_CHANGE: "nothing: the order already is as asked for",
    Code.MARGIN: "add collateral, or lower the quantity",
    Code.UNAVAILABLE: "look the order up before anything else: whether it took effect is not known",
    Code.INTERNAL: "look the order up before anything else: whether it took effect is not known",
    Code.DEADLINE: "send it again if it is still wanted: it did not take effect",
    Code.MODE: "wait until the venue trades again: get_system_state tells",
    Code.THROTTLED: "wait, then send it again",
    Code.ARGUMENTS: "mend the request: the venue did not understand it",
    Code.PERMISSION: "give the key the right it lacks: openmm doctor shows what it has",
    Code.LOCKOUT: "stop every request for 15 minutes",
    Code.CALL_RATE: "wait, then ask less often",
    Code.CREDENTIALS: "check key, secret and passphrase, and the addresses the key is bound to",
    Code.NONCE: "use one key for one program only",
    Code.TOKEN: "connect again: a new token is fetched",
    Code.CLOCK: "set this machine's clock: openmm doctor shows how far it is off",
    Code.LOGIN: "connect again: the connection is not logged in",
    Code.FILL: "price it anew: it could not be filled at once",
    Code.INSTRUMENT: "use a name that get_instruments lists",
    Code.ACCOUNT: "ask the venue: it has locked the account",
    Code.ALREADY_SUBSCRIBED: "nothing: the stream is on already",
    Code.UNKNOWN: "read the venue's text: this build does not know it",
}


def advice(error: OpenMMError) -> str:
    """Return what to do about an error; "" for one that is not a venue's."""
    if isinstance(error, TransportError):
        if error.code == "outcome_unknown":
            return ADVICE[Code.UNAVAILABLE]
        if error.code == "slow_reader":
            return "read the stream as it comes, and open it anew"
        return "check the network and the address, then try again"
    if isinstance(error, ProtocolError):
        return "update OpenMM, or report it: the venue sent what this build does not know"
    known = error.code in Code.__members__.values()
    return ADVICE[Code(error.code)] if known else ""
