"""MEXC from protobuf to book, and an order's way to its socket.

`pytest bench/bench_mexc.py` times our decoder; `python -m bench --only bench_mexc` measures the
gates, the peer in an environment of its own.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import tempfile
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.mexc_frames import WARM, decoder_of, generated
from bench.peers import ROOT, peers_python
from openmm._fast.book import Book, BookState
from openmm.testing.callgrind import run_sections
from openmm.testing.workload import NARROW, WIDE, Mix

PEER_TIMEOUT_S = 900
SCRIPT = ROOT / "bench" / "count_mexc.py"
SHORT, LONG = 500, 2_500
SHORT_ORDERS, LONG_ORDERS = 10, 60


@pytest.mark.benchmark(group="mexc: protobuf to book, a message")
@pytest.mark.parametrize("mix", [NARROW, WIDE], ids=["narrow", "wide"])
def test_decode(benchmark: BenchmarkFixture, mix: Mix) -> None:
    """Time our decoder on generated pushes."""
    frames = generated(mix, 1000)

    def run() -> Book:
        decoder, book = decoder_of(frames)
        decoder.decode_many(frames.frames)
        return book

    assert benchmark(run).state is BookState.BOOK_VERIFIED


def gate_mexc() -> dict[str, float]:
    """Measure the gates: {"mexc/<peer>/<frames>": peer's time over ours}.

    Raises:
        subprocess.CalledProcessError: the peer does not install or run; what it printed is shown.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(peers_python()), "-m", "bench.peer_mexc"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=PEER_TIMEOUT_S,
    )  # fmt: skip
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return {
        f"mexc/{name}/{frames}": value
        for frames, measured in figures.items()
        for name, value in measured.items()
    }


def count() -> dict[str, float]:
    """Count instructions under callgrind: of a push, and of an order by REST and WebSocket."""
    sizes = [str(one) for one in (SHORT, LONG, SHORT_ORDERS, LONG_ORDERS)]
    made = {mix.name: generated(mix, 1 + WARM + SHORT + LONG) for mix in (NARROW, WIDE)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames"
        file.write_bytes(pickle.dumps(made))
        found = run_sections(SCRIPT, [str(file), *sizes], env={"PYTHONPATH": str(ROOT)})

    def each(name: str, more: int) -> float:
        return (found[f"{name}/long"] - found[f"{name}/short"]).instructions / more

    more = LONG_ORDERS - SHORT_ORDERS
    ws, rest, signed = (
        each(name, more) for name in ("order_ws", "order_rest", "order_rest_signed")
    )
    return {
        "instructions/decode_mexc_narrow": each("decode_mexc_narrow", LONG - SHORT),
        "instructions/decode_mexc_wide": each("decode_mexc_wide", LONG - SHORT),
        "mexc/order_rest_over_websocket": rest / ws,
        "mexc/order_websocket_instructions": ws,
        "mexc/order_rest_instructions": rest,
        "mexc/signature_instructions": signed - rest,
    }


def gate_mexc_instructions() -> dict[str, float]:
    """Count what the gates ask for."""
    return count()
