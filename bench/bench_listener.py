"""From picows' frame to the socket's send: what our own code allocates there, counted by callgrind.

Everything inside `MarketListener.on_ws_frame` is counted, with the real `SocketTransport` on a real
connection, and again what happens inside of picows' own `WSTransport._fast_write`, which the
transport hands its bytes to: it asks asyncio's transport for its backlog by a Python call. The
difference is ours.
"""

from __future__ import annotations

from pathlib import Path

from openmm.testing.callgrind import ALLOCATORS, Section, run_sections

SCRIPT = Path(__file__).with_name("count_listener.py")
TICKS = 100
LISTENER = "__pyx_f_6openmm_5_fast_4feed_14MarketListener_on_ws_frame"
PICOWS_WRITE = "__pyx_f_6picows_6picows_11WSTransport__fast_write"


def count(inside: str) -> tuple[Section, int]:
    """Return what happened inside of a C function, and how many ticks sent orders."""
    told: list[str] = []
    found = run_sections(SCRIPT, [str(TICKS)], told=told, inside=inside)["listener"]
    moved = next(int(line.split()[1]) for line in told if line.startswith("moved "))
    return found, moved


def gate_listener() -> dict[str, float]:
    """Compare all of the way with picows' part of it."""
    ours, moved = count(LISTENER)
    theirs, _ = count(PICOWS_WRITE)
    extra = {
        name: ours.calls.get(name, 0) - theirs.calls.get(name, 0)
        for name in ALLOCATORS
        if ours.calls.get(name, 0) != theirs.calls.get(name, 0)
    }
    if extra:
        print("allocated by our own code:", extra)
    return {
        "listener/allocations": float(sum(max(0, one) for one in extra.values())),
        "listener/sends_per_tick": ours.calls.get("send", 0) / moved,
        "listener/moved_per_tick": moved / TICKS,
        "listener/picows_allocations_per_tick": theirs.allocations / moved,
        "listener/instructions_per_tick": ours.instructions / TICKS,
    }
