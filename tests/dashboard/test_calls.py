"""The door in threads: shared reads, bounded calls, a lane for brakes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from openmm.control.access import Client, Scope
from openmm.dashboard.calls import CLIENT_CALLS_MAX, THREADS, Calls
from openmm.errors import ControlError

DESK = Client("desk", frozenset(Scope), issued="1")
OTHER = Client("other", frozenset(Scope), issued="2")


class Held:
    """A door whose reads wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.calls: list[tuple[str, str]] = []
        self.issued = "1"

    def call(self, client: Client, action: str, args: Any, **more: Any) -> dict[str, Any]:
        self.calls.append((client.name, action))
        if action in ("fills", "set") and not self.go.wait(20):
            raise AssertionError("nobody let it go")
        return {"n": len(self.calls)}

    def client(self, name: str) -> Client:
        return Client(name, frozenset(Scope), issued=self.issued)


@pytest.fixture
def door() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()


def calls_of(door: Held, now: list[float]) -> Calls:
    return Calls(door, lambda: now[0])  # type: ignore[arg-type]


def test_pages_of_a_client_share_a_read_and_no_one_elses(door: Held) -> None:
    now = [100.0]

    async def run() -> None:
        calls = calls_of(door, now)
        door.go.set()
        both = await asyncio.gather(
            calls.read(DESK, "fills", {"bot": "a"}, 2.0), calls.read(DESK, "fills", {"bot": "a"}, 2)
        )
        assert both[0] == both[1]
        assert len(door.calls) == 1
        await calls.read(DESK, "fills", {"bot": "b"}, 2.0)
        await calls.read(OTHER, "fills", {"bot": "a"}, 2.0)
        assert len(door.calls) == 3
        await calls.read(DESK, "fills", {"bot": "a"}, 2.0)
        assert len(door.calls) == 3
        now[0] += 2.5
        await calls.read(DESK, "fills", {"bot": "a"}, 2.0)
        assert len(door.calls) == 4
        await calls.write(DESK, "pause", {"bot": "a"}, "k")
        await calls.read(DESK, "fills", {"bot": "a"}, 2.0)
        assert door.calls[-1] == ("desk", "fills"), "a write makes what was read old"
        calls.close()

    asyncio.run(run())


def test_halt_passes_questions_and_writes_that_hang(door: Held) -> None:
    async def run() -> None:
        calls = calls_of(door, [0.0])
        hanging = [
            asyncio.ensure_future(calls.read(DESK, "fills", {"bot": str(i)}, 0.0))
            for i in range(CLIENT_CALLS_MAX["read"])
        ] + [
            asyncio.ensure_future(calls.write(DESK, "set", {"bot": str(i)}, str(i)))
            for i in range(CLIENT_CALLS_MAX["write"])
        ]
        await asyncio.sleep(0)
        with pytest.raises(ControlError) as caught:
            await calls.read(DESK, "fills", {"bot": "more"}, 0.0)
        assert caught.value.code == "busy"
        await asyncio.wait_for(calls.write(DESK, "halt", {"bot": "a"}, "k"), 10)
        assert ("desk", "halt") in door.calls
        door.go.set()
        await asyncio.gather(*hanging)
        calls.close()

    assert THREADS["brake"] > CLIENT_CALLS_MAX["brake"], "brakes of one leave a thread to others"
    asyncio.run(run())


def test_client_whose_token_was_taken_back_is_out(door: Held) -> None:
    async def run() -> None:
        calls = calls_of(door, [0.0])
        assert (await calls.client(DESK)).name == "desk"
        door.issued = "9"
        with pytest.raises(ControlError) as caught:
            await calls.client(DESK)
        assert caught.value.code == "unauthenticated"
        calls.close()

    asyncio.run(run())
