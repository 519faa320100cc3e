"""Processes that tests of the command line start: a simulated venue, and questions to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def venue(
    *args: str, name: str = "kraken"
) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", "sim", name, *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def get(rest: str, path: str) -> Any:
    return json.loads(ask(rest, path)[1])


def ask(rest: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    address = urlsplit(rest)
    assert address.hostname is not None
    line = HTTPConnection(address.hostname, address.port, timeout=10)
    line.request(method, path)
    reply = line.getresponse()
    body = reply.read()
    line.close()
    return reply.status, body
