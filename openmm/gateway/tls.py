"""Where the gateway may listen: loopback, or elsewhere with TLS and clients."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Final

from openmm.errors import ConfigError

ANYWHERE: Final = frozenset({"0.0.0.0", "::"})


def is_loopback(host: str) -> bool:
    """Tell whether an address cannot be reached from outside this host.

    A name counts as what it resolves to, and only if all of that is loopback.

    Raises:
        ConfigError: it is no address and no name that is known here.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise ConfigError("--host", host, f"an address of this host ({error})") from None
    return bool(found) and all(ipaddress.ip_address(one).is_loopback for one in found)


def check_address(host: str, *, secure: bool, clients: int) -> None:
    """Refuse to be reachable from elsewhere without TLS and without anybody who may come in.

    Raises:
        ConfigError: what is missing.
    """
    if is_loopback(host):
        return
    if not secure:
        raise ConfigError(
            "--host", host, "127.0.0.1, or another address together with --cert and --key: "
            "tokens do not travel in the clear",
        )  # fmt: skip
    if not clients:
        raise ConfigError(
            "--host", host, "127.0.0.1, or another address once there is a client: "
            "openmm token add NAME makes one",
        )  # fmt: skip


def load_certificate(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the server's side of TLS 1.2 and up; None without files.

    Raises:
        ConfigError: one of the two is missing, cannot be read, or they do not fit.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "--cert" if cert is None else "--key"
        raise ConfigError(missing, None, "a file: --cert and --key go together")
    for option, path in (("--cert", cert), ("--key", key)):
        if not path.is_file():
            raise ConfigError(option, str(path), "a file in PEM form")
    if key.stat().st_mode & 0o077:
        raise ConfigError("--key", str(key), f"for its owner only: chmod 600 {key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a passphrase is refused: the gateway starts without anybody at a terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        allowed = f"a certificate and the key to it, in PEM form ({error})"
        raise ConfigError("--cert", str(cert), allowed) from None
    return context
