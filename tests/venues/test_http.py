"""HTTP to a venue: a failure says what failed, not which class of a library raised."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from openmm.errors import TransportError
from openmm.venues.http import HttpRoundTrip


def failure(base: str) -> str:
    async def ask() -> None:
        carry = HttpRoundTrip("kraken", 5.0)
        try:
            await carry("GET", base, "/time", "secret=1", b"", {})
        finally:
            await carry.close()

    with pytest.raises(TransportError) as caught:
        asyncio.run(ask())
    assert "secret" not in str(caught.value)
    return str(caught.value)


def test_unknown_host_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    told = failure("http://venue.invalid")
    assert told.startswith("http://venue.invalid/time: the host's name is not known here")


def test_port_that_speaks_no_tls_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        async def ask() -> str:
            async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.drain()
                writer.close()

            async with await asyncio.start_server(plain, sock=server):
                carry = HttpRoundTrip("kraken", 5.0)
                with pytest.raises(TransportError) as caught:
                    await carry("GET", f"https://127.0.0.1:{port}", "/time", "", b"", {})
                await carry.close()
                return str(caught.value)

        assert "TLS failed" in asyncio.run(ask())
