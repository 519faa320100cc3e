"""What a venue's refusal means, in words that do not depend on the venue.

The engine acts on these codes; each venue's `spec` maps its own texts to them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Code(StrEnum):
    """What a refusal means, for whoever must act on it."""

    FUNDS = "funds"  # stop that side, refresh balances
    POST_ONLY = "post_only"  # would take: price anew
    PRICE = "price"  # form or tick: stale metadata or a bug
    MINIMUM = "minimum"  # quantity or cost too small
    ORDERS_LIMIT = "orders_limit"  # too many open orders
    RATE_LIMIT = "rate_limit"  # order rate: set ours to the cap
    UNKNOWN_ORDER = "unknown_order"  # gone or never there: look it up, a fill may be on its way
    NO_CHANGE = "no_change"  # the amend changes nothing: done
    MARGIN = "margin"
    UNAVAILABLE = "unavailable"  # outcome unknown: reconcile
    INTERNAL = "internal"  # outcome unknown: reconcile
    DEADLINE = "deadline"  # not processed in time: not live
    MODE = "mode"  # the venue's trading mode forbids it
    THROTTLED = "throttled"  # too many at once
    ARGUMENTS = "arguments"  # malformed: a bug
    PERMISSION = "permission"  # rights of the key: fatal
    LOCKOUT = "lockout"  # stop all REST for 15 minutes
    CALL_RATE = "call_rate"  # REST or message rate: back off
    CREDENTIALS = "credentials"  # key or signature: fatal
    NONCE = "nonce"  # one retry with a new one, never for a placement
    TOKEN = "token"  # get a new one, send again
    CLOCK = "clock"  # our clock is off: measure it, sign anew
    LOGIN = "login"  # the connection is not logged in
    FILL = "fill"  # could not be filled at once, as asked
    INSTRUMENT = "instrument"  # no such pair or asset
    ACCOUNT = "account"  # locked or disabled: fatal
    ALREADY_SUBSCRIBED = "already_subscribed"
    UNKNOWN = "unknown"


class Fault(Struct, frozen=True):
    """One kind of refusal. `retryable`: the same request may be sent again, after a wait."""

    code: Code
    retryable: bool


# The request was not answered in a way that tells whether it took effect.
UNCERTAIN_CODES: Final = frozenset({Code.UNAVAILABLE, Code.INTERNAL})
