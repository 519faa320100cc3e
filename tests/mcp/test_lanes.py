"""Lanes: bounded, fair between clients, and brakes never wait behind anything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import anyio
import pytest

from openmm.control.actions import ACTIONS
from openmm.errors import ControlError
from openmm.mcp.lanes import CLIENT_CALLS_MAX, LANE_CALLS_MAX, Lanes, lane_of


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Hold calls in their threads until it is set; always set in the end."""
    made = threading.Event()
    yield made
    made.set()


def test_brakes_have_a_lane_of_their_own() -> None:
    brakes = {name for name in ACTIONS if lane_of(name) == "brake"}
    assert {"halt", "pause", "stop", "cancel"} <= brakes
    assert not {"resume", "place", "set", "status"} & brakes
    assert lane_of("place") == "write"
    assert lane_of("status") == "read"
    assert lane_of("no such action") == "read"


def test_halt_runs_while_every_other_thread_is_held(gate: threading.Event) -> None:
    async def main() -> None:
        lanes = Lanes()
        async with anyio.create_task_group() as group:
            for client in range(8):
                for lane in ("read", "write"):
                    for _ in range(CLIENT_CALLS_MAX[lane]):
                        group.start_soon(lanes.run, lane, f"c{client}", gate.wait, 60)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                assert await lanes.run("brake", "c0", time.monotonic) > 0
            gate.set()

    anyio.run(main)


def test_one_client_too_many_calls_is_refused_and_others_are_not(gate: threading.Event) -> None:
    async def main() -> None:
        lanes = Lanes({"read": 2})
        async with anyio.create_task_group() as group:
            for _ in range(CLIENT_CALLS_MAX["read"]):
                group.start_soon(lanes.run, "read", "greedy", gate.wait, 60)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ControlError) as refused:
                await lanes.run("read", "greedy", time.monotonic)
            assert (refused.value.code, refused.value.retryable) == ("busy", True)
            group.start_soon(lanes.run, "read", "modest", gate.wait, 60)
            await anyio.wait_all_tasks_blocked()
            gate.set()
        assert await lanes.run("read", "greedy", time.monotonic) > 0

    anyio.run(main)


def test_brakes_of_one_client_leave_a_thread_to_another(gate: threading.Event) -> None:
    async def main() -> None:
        lanes = Lanes()
        async with anyio.create_task_group() as group:
            for _ in range(CLIENT_CALLS_MAX["brake"]):
                group.start_soon(lanes.run, "brake", "greedy", gate.wait, 60)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                assert await lanes.run("brake", "modest", time.monotonic) > 0
            gate.set()

    anyio.run(main)


def test_lane_never_holds_more_than_its_bound(gate: threading.Event) -> None:
    async def main() -> None:
        lanes = Lanes({"read": 1})
        async with anyio.create_task_group() as group:
            for number in range(LANE_CALLS_MAX):
                group.start_soon(lanes.run, "read", f"c{number}", gate.wait, 60)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ControlError):
                await lanes.run("read", "late", time.monotonic)
            gate.set()

    anyio.run(main)


def test_what_a_call_raises_comes_out_and_its_place_is_free_again() -> None:
    def bad() -> None:
        raise ControlError("no", code="forbidden")

    async def main() -> None:
        lanes = Lanes()
        for _ in range(2 * CLIENT_CALLS_MAX["write"]):
            with pytest.raises(ControlError):
                await lanes.run("write", "a", bad)

    anyio.run(main)
