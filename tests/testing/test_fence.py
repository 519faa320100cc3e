"""Memory that ends where its input ends: what lies behind cannot be read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openmm._fast.ports import Decoded
from openmm.testing.fence import Fence
from openmm.venues.kraken.wire import KrakenDecoder

OVER_READ = """
import ctypes
from openmm.testing.fence import Fence
fence = Fence(100)
view = fence.view(b"abc")
buffer = (ctypes.c_void_p * 16)()  # a Py_buffer, which begins with the address
ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), buffer, 0)
at = buffer[0]
assert ctypes.string_at(at, 3) == b"abc"
print("read", flush=True)
ctypes.string_at(at, 4)
print("over", flush=True)
"""


@pytest.mark.parametrize("heap", [False, True])
def test_input_is_held_as_it_is(heap: bool) -> None:
    fence = Fence(5000, heap)
    for data in (b"", b"x", b"y" * 4096, b"z" * 5000, b"x"):
        view = fence.view(data)
        assert bytes(view) == data
        assert view.readonly


@pytest.mark.parametrize("heap", [False, True])
def test_longer_than_the_capacity_is_refused(heap: bool) -> None:
    with pytest.raises(ValueError, match="at most 5000 bytes: 5001"):
        Fence(5000, heap).view(b"a" * 5001)


@pytest.mark.parametrize("capacity_bytes", [0, -1])
def test_no_room_is_refused(capacity_bytes: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Fence(capacity_bytes)


def test_decoder_is_handed_the_input_where_it_lies() -> None:
    fence, decoder = Fence(4096), KrakenDecoder()
    heartbeat = b'{"channel":"heartbeat"}'
    assert fence.decode(decoder, heartbeat) is decoder.decode(heartbeat)
    assert fence.decode(decoder, b"") is not Decoded.DECODED_UNDECIDED
    assert decoder.counters["heartbeats"] == 2


def test_one_byte_too_many_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OVER_READ], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["read"]
    assert done.returncode < 0
