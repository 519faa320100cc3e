"""Lanes: bounded, and what fills one leaves the others alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from openmm.control.actions import ACTIONS
from openmm.gateway.lanes import LANES, Lane, Lanes, lane_of
from openmm.gateway.refusals import Refusal

PATIENCE_S = 20.0
NARROW = {
    "reads": Lane(threads=1, waiting_max=2, client_max=2, call_s=PATIENCE_S),
    "brakes": Lane(threads=1, waiting_max=1, client_max=1, call_s=PATIENCE_S),
}


def held(gate: threading.Event) -> Callable[[], bool]:
    return lambda: gate.wait(PATIENCE_S)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not check():  # noqa: ASYNC110  the lanes tell nobody
            await asyncio.sleep(0.001)


def test_every_brake_has_the_lane_of_brakes_and_no_read_has() -> None:
    lanes = {name: lane_of(action) for name, action in ACTIONS.items()}
    brakes = {"pause", "halt", "stop", "cancel", "acknowledge"}
    assert {name for name, lane in lanes.items() if lane == "brakes"} == brakes
    assert {lane for name, lane in lanes.items() if not ACTIONS[name].writes} == {"reads"}
    assert lane_of(ACTIONS["place"]) == "writes"
    assert lane_of(ACTIONS["place"], preview=True) == "writes"


def test_a_full_lane_of_reads_leaves_the_brakes_free() -> None:
    async def scenario() -> None:
        lanes, gate = Lanes(NARROW), threading.Event()
        try:
            stuck = [
                asyncio.ensure_future(lanes.run("reads", client, held(gate))) for client in "abc"
            ]
            await until(lambda: lanes.busy("reads") == 3)
            assert lanes.full == ["reads"]
            with pytest.raises(Refusal) as refused:
                await lanes.run("reads", "d", lambda: 1)
            assert (refused.value.status, refused.value.code) == (503, "overloaded")
            assert refused.value.response().headers["retry-after"] == "1"
            assert await lanes.run("brakes", "d", lambda: "halted") == "halted"
            gate.set()
            assert await asyncio.gather(*stuck) == [True] * 3
        finally:
            gate.set()
            lanes.close()

    asyncio.run(scenario())


def test_one_client_cannot_have_a_lane_for_itself() -> None:
    async def scenario() -> None:
        lanes, gate = Lanes(NARROW), threading.Event()
        try:
            mine = [asyncio.ensure_future(lanes.run("reads", "a", held(gate))) for _ in range(2)]
            await until(lambda: lanes.busy("reads") == 2)
            with pytest.raises(Refusal) as refused:
                await lanes.run("reads", "a", lambda: 1)
            assert (refused.value.status, refused.value.code) == (429, "busy")
            theirs = asyncio.ensure_future(lanes.run("reads", "b", lambda: "mine"))
            gate.set()
            assert await theirs == "mine"
            assert await asyncio.gather(*mine) == [True, True]
        finally:
            gate.set()
            lanes.close()

    asyncio.run(scenario())


def test_a_call_that_takes_too_long_keeps_its_place_until_it_ends() -> None:
    lane = {"reads": Lane(threads=1, waiting_max=0, client_max=1, call_s=0.01)}

    async def scenario() -> None:
        lanes, gate = Lanes(lane), threading.Event()
        try:
            with pytest.raises(Refusal) as refused:
                await lanes.run("reads", "a", held(gate))
            assert (refused.value.status, refused.value.code) == (504, "timeout")
            assert lanes.busy("reads") == 1
            gate.set()
            await until(lambda: not lanes.busy("reads"))
        finally:
            gate.set()
            lanes.close()

    asyncio.run(scenario())


def test_what_a_call_raises_reaches_its_caller() -> None:
    def fail() -> None:
        raise TimeoutError("the call's own")

    async def scenario() -> None:
        lanes = Lanes(NARROW)
        try:
            with pytest.raises(TimeoutError, match="the call's own"):
                await lanes.run("reads", "a", fail)
        finally:
            lanes.close()

    asyncio.run(scenario())


def test_brakes_of_one_client_leave_a_thread_to_another() -> None:
    assert LANES["brakes"].client_max < LANES["brakes"].threads
