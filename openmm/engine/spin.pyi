import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from logging import Logger
from typing import Any, Final, final

from picows import WSTransport

from openmm._fast.rehearsal import Rehearsal

log: Logger
BUDGET_NS: Final[int]

@final
class HotSocket:
    def __new__(
        cls,
        fd: int,
        call: Callable[[], object],
        protocol: asyncio.BufferedProtocol | None = None,
        abort: Callable[[], object] | None = None,
    ) -> HotSocket: ...

@final
class Spinner:
    read_count: int
    look_count: int
    def __new__(
        cls, epoll_fd: int, ready: deque[Any], on_error: Callable[[BaseException], None]
    ) -> Spinner: ...
    def rehearse(self, rehearsal: Rehearsal | None) -> None: ...
    def heat(
        self,
        fd: int,
        call: Callable[[], object],
        protocol: asyncio.BufferedProtocol | None = None,
        abort: Callable[[], object] | None = None,
    ) -> bool: ...
    def cool(self, fd: int) -> None: ...
    @property
    def hot_count(self) -> int: ...
    def wait(self, timeout_ms: int) -> list[tuple[int, int]]: ...
    def spin(self, budget_ns: int, timers: list[Any]) -> list[tuple[int, int]]: ...

class SpinSelector(selectors.EpollSelector):
    busy: bool
    def __init__(self, *, busy: bool = False, budget_ns: int = ...) -> None: ...
    def bind(self, loop: SpinLoop, on_error: Callable[[BaseException], None]) -> None: ...
    @property
    def spinner(self) -> Spinner: ...
    def heat(
        self,
        fd: int,
        protocol: asyncio.BufferedProtocol | None = None,
        abort: Callable[[], object] | None = None,
    ) -> bool: ...

class SpinLoop(asyncio.SelectorEventLoop):
    selector: SpinSelector
    def __init__(self, *, busy: bool = False, budget_ns: int = ...) -> None: ...
    def heat(
        self,
        fd: int,
        protocol: asyncio.BufferedProtocol | None = None,
        abort: Callable[[], object] | None = None,
    ) -> bool: ...

def try_out(loop: SpinLoop) -> None: ...
def make_loop(busy: bool = False) -> asyncio.AbstractEventLoop: ...
def heat(transport: WSTransport) -> bool: ...
def rehearse(rehearsal: Rehearsal | None) -> bool: ...
