"""Addresses of databases and webhooks, and how they are told without what opens doors."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# Where a process finds the store's address: arguments are for every user of a machine to read.
STORE_VARIABLE = "OPENMM_STORE"

# Of a database address: what libpq and SQLAlchemy take as a secret in the part behind `?`.
SECRET_OPTIONS = frozenset({"password", "passwd", "sslpassword", "sslkey", "passfile"})


def without_password(address: str) -> str:
    """Return a database's address without its password: with everything else, it still opens one
    whose password comes from `PGPASSWORD`, a password file, or is not asked for.

    What cannot be read as an address is cut behind its scheme.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address  # a path
    try:
        parts = urlsplit(address)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return f"{scheme}://…"
    user, at, host = parts.netloc.rpartition("@")
    if parts.netloc and "@" in rest[len(parts.netloc) :]:
        return f"{scheme}://…"  # an unescaped / ? or # in a password: nothing of it is sure
    place = f"{user.partition(':')[0]}@{host}" if at else host
    if not any(key.lower() in SECRET_OPTIONS for key, _ in query):
        return f"{scheme}://{place}{rest[len(parts.netloc) :]}"
    kept = urlencode([(key, text) for key, text in query if key.lower() not in SECRET_OPTIONS])
    body = urlunsplit(("", "", parts.path, kept, ""))
    return f"{scheme}://{place}{body}"


def without_path(address: str) -> str:
    """Return only scheme and host of an address whose path is the secret, as a webhook's is."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def public_plain(plain: dict[str, Any]) -> dict[str, Any]:
    """Take the same out of plain values, in place: journals of before hold them whole."""
    settlement, risk = plain.get("settlement") or {}, plain.get("risk") or {}
    if settlement.get("store"):
        settlement["store"] = without_password(str(settlement["store"]))
    if risk.get("webhook"):
        risk["webhook"] = without_path(str(risk["webhook"]))
    return plain
