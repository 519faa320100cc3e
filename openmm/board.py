"""The board: bots of one user and host show each other what they quote, and what they hold.

One file beside the account locks, one row for each bot, account and market. A bot claims its row at
its start, before it asks what it has open, and frees it at its end once nothing of it is open. What
a row shows is in force until it is freed, also when its process is gone, because its orders may
rest: the bot's next start, or an operator who has looked (`forget`), takes it off.

`Seat` is what a bot holds: `Seat.row` goes into the hot path. Layout and protocol of the page stand
in `_fast.board`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Self, final

from msgspec import Struct

from openmm._fast.board import (
    BOARD_MAGIC,
    PAGE_BYTES,
    ROW_BYTES,
    ROWS,
    VERSION,
    BoardFault,
    BoardPage,
    OwnRow,
    RawRow,
)
from openmm._fast.board import Holdings as Holdings
from openmm._fast.ports import NOTHING_ASK, NOTHING_BID
from openmm._fast.units import Side
from openmm.config.values import is_loopback
from openmm.errors import BoardError

FILE_NAME = "board"
# So often the file's lock is tried, with this between: two seconds for who takes or frees a row, a
# hundredth for who only looks.
LOCK_WAIT_S = 0.0005
LOCK_TRIES = 4000
LOOK_TRIES = 20
FAULTS = {
    BoardFault.FAULT_HEADER: "it is not a board any more",
    BoardFault.FAULT_ROW_LOST: "this bot's row was taken from it",
    BoardFault.FAULT_PRICE: "a neighbour's price cannot be one",
}


class Owner(Struct, frozen=True):
    """A process, told from a later one with the same number."""

    pid: int
    start: int  # in the kernel's ticks since boot
    boot: int  # hash of the boot's id

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.boot == _boot() and _start_of(self.pid) == self.start

    @classmethod
    def me(cls) -> Self:
        """Name this process."""
        start = _start_of(os.getpid())
        if start is None:
            raise BoardError("/proc does not tell when this process began: it has to be mounted")
        return cls(os.getpid(), start, _boot())


def _hash(text: str, size: int = 8) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest(), "little")


@functools.cache
def _boot() -> int:
    try:
        return _hash(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    except OSError as error:
        raise BoardError(f"the boot's id cannot be read: {error}") from None


def _start_of(pid: int) -> int | None:
    """Return when a process began; None: there is none, or it has ended and is not yet collected.

    Source: proc_pid_stat(5): field 3 is the state, field 22 the start; field 2 may hold anything.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Market(Struct, frozen=True):
    """Where orders can meet: a venue's book of one pair.

    `endpoint`: where the venue is reached. It tells simulated venues on this host apart; a real
    one's book is the same whichever way it is reached.
    """

    venue: str
    pair: str
    endpoint: str = ""

    @property
    def key(self) -> int:
        """Hash that the rows of one market share."""
        where = self.endpoint.rstrip("/") if is_loopback(self.endpoint) else ""
        return _hash(f"{self.venue}\0{self.pair}\0{where}", 16)


class Row(Struct, frozen=True):
    """A row as it stands. Prices are None where there is none.

    `group`: of bots that share an inventory, "" for none. `purpose`: "quote" or "hedge".
    `holdings`: as its owner told them last, None when it never did or ended while it wrote.
    """

    index: int
    bot: str
    venue: str
    pair: str
    tick_size: Decimal
    group: str
    purpose: str
    market: int
    account: int
    owner: Owner
    bid_ticks: int | None
    ask_ticks: int | None
    holdings: Holdings | None

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return self.owner.alive

    @property
    def empty(self) -> bool:
        """Whether it shows no price: nothing of it can be met."""
        return self.bid_ticks is None and self.ask_ticks is None

    @property
    def bid(self) -> Decimal | None:
        """Highest bid that rests, is on its way or in doubt."""
        return None if self.bid_ticks is None else self.bid_ticks * self.tick_size

    @property
    def ask(self) -> Decimal | None:
        """Lowest ask likewise."""
        return None if self.ask_ticks is None else self.ask_ticks * self.tick_size


def _row(raw: RawRow) -> Row:
    try:
        tick_size = Decimal(raw.tick_size)
    except ArithmeticError:
        raise BoardError(f"row {raw.place} is damaged: its tick is {raw.tick_size!r}") from None
    return Row(
        raw.place, raw.bot, raw.venue, raw.instrument, tick_size, raw.group, raw.purpose,
        raw.market, raw.account, Owner(raw.pid, raw.pid_start, raw.boot),
        None if raw.bid_ticks == NOTHING_BID else raw.bid_ticks,
        None if raw.ask_ticks == NOTHING_ASK else raw.ask_ticks, raw.holdings,
    )  # fmt: skip


@final
class Board:
    """The file: who is on it, and who comes and goes. One object a process is enough.

    Args:
        path: of the file, in a folder that is this user's alone; made when there is none.

    Raises:
        BoardError: it cannot be made or opened, or is no board of this layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise BoardError(f"the board cannot be opened ({error.strerror}): {path}") from None
        try:
            with self._locked():
                self._begin()
            self.page = BoardPage(self._fd)
            self._check()
            self._inode = os.fstat(self._fd).st_ino
        except OSError as error:
            self.close()
            raise BoardError(f"the board cannot be used ({error}): {path}") from None
        except BoardError:
            self.close()
            raise

    def _begin(self) -> None:
        """Make an empty file a board. One that another process was making is made again."""
        size = os.fstat(self._fd).st_size
        if size not in (0, PAGE_BYTES):
            raise BoardError(
                f"not a board of this build: {size} bytes, not {PAGE_BYTES}: {self.path}"
            )
        if size == 0:
            os.posix_fallocate(self._fd, 0, PAGE_BYTES)
        if not os.pread(self._fd, PAGE_BYTES, 0).strip(b"\0"):
            BoardPage(self._fd).begin()

    def _check(self) -> None:
        magic, version, row_bytes, row_count = self.page.header_fields()
        if magic != BOARD_MAGIC:
            raise BoardError(f"not a board: {self.path}")
        if version != VERSION:
            raise BoardError(
                f"a board of version {version}, this build's is {VERSION}: stop the bots of the "
                f"other build, see that nothing of theirs is open, and remove it: {self.path}"
            )
        if (row_bytes, row_count) != (ROW_BYTES, ROWS):
            raise BoardError(f"a board of another layout: {self.path}")

    @contextlib.contextmanager
    def _locked(self, tries: int = LOCK_TRIES) -> Iterator[None]:
        """Keep others from claiming and freeing; they do it in microseconds.

        Raises:
            BoardError: a process that was stopped within holds the lock on and on.
        """
        for left in range(tries, -1, -1):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left == 0:
                    raise BoardError(
                        f"another process holds the board's lock and does not go on: {self.path}"
                    ) from None
                time.sleep(LOCK_WAIT_S)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; rows that were claimed stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ------------------------------------------------------------------ rows

    def rows(self) -> list[Row]:
        """Return every row that is claimed, whole. Bots ask on their loop: it never waits long.

        Raises:
            BoardError: the lock cannot be had, or it is not a board any more.
        """
        with self._locked(LOOK_TRIES):
            return self._rows()

    def _rows(self) -> list[Row]:
        self._check()
        return [_row(raw) for raw in map(self.page.read, range(ROWS)) if raw is not None]

    def claim(
        self, market: Market, *, bot: str, account: str, tick_size: Decimal, group: str = "",
        purpose: str = "quote",
    ) -> Seat:  # fmt: skip
        """Take a row for this process, that of the bot's last run if it left one.

        Args:
            account: names the account; its hash is written down.
            tick_size: prices are counted in it, by all on the market alike.

        Raises:
            BoardError: no room, a text too long, another tick on the same market, or the same bot
                and account runs already.
        """
        me, mine = Owner.me(), _hash(account)
        tick = f"{tick_size.normalize():f}"
        with self._locked():
            rows = self._rows()
            for row in rows:
                if row.market != market.key:
                    continue
                if row.bot == bot and row.account == mine:
                    if row.alive and row.owner != me:
                        raise BoardError(f"{bot} runs as process {row.owner.pid}: {self.path}")
                    self.page.take_over(row.index, me.pid, me.start, me.boot, group)
                    return Seat(self, row.index)
                if row.tick_size != tick_size and (row.alive or not row.empty):
                    raise BoardError(
                        f"{row.bot} counts {market.pair} in ticks of {row.tick_size}, not {tick}: "
                        f"their prices cannot be compared: {self.path}"
                    )
            index = self._room(rows)
            try:
                self.page.claim(
                    index, market=market.key, account=mine, pid=me.pid, pid_start=me.start,
                    boot=me.boot, bot=bot, venue=market.venue, instrument=market.pair,
                    tick_size=tick, group=group, purpose=purpose,
                )  # fmt: skip
            except ValueError as error:
                raise BoardError(f"{error}: {self.path}") from None
        return Seat(self, index)

    def _room(self, rows: list[Row]) -> int:
        """Return a free row; one that its process left without a price is freed for it."""
        taken = {row.index for row in rows}
        for index in range(ROWS):
            if index not in taken:
                return index
        for row in rows:
            if row.empty and not row.alive:
                self.page.free(row.index)
                return row.index
        left = sum(not row.alive for row in rows)
        raise BoardError(
            f"the board is full: {ROWS} rows, {left} of bots that run no more; `openmm neighbours` "
            "lists them, its --forget takes one off once the venue shows nothing of it open: "
            f"{self.path}"
        )

    def give_up(self, index: int, *, free: bool) -> None:
        """Take a row off, by its owner; one that is not `free` stays in force without an owner."""
        with self._locked():
            if free:
                self.page.free(index)
            else:
                self.page.take_over(index, 0, 0, 0)

    def proven(self, market: Market, *, bot: str, account: str) -> bool:
        """Take off the row of a bot that is gone: the venue says that nothing of it is open.

        Returns whether there was one.
        """
        with self._locked():
            for row in self._rows():
                mine = row.bot == bot and row.account == _hash(account)
                if mine and row.market == market.key and not row.alive:
                    self.page.free(row.index)
                    return True
        return False

    def forget(self, bot: str) -> list[Row]:
        """Take off the rows that a bot left behind; return them.

        Whoever asks for it has seen at the venue that nothing of the bot's is open.

        Raises:
            BoardError: the bot runs, or has no row.
        """
        with self._locked():
            rows = [row for row in self._rows() if row.bot == bot]
            if not rows:
                raise BoardError(f"{bot!r} is not on the board: {self.path}", code="not_found")
            if any(row.alive for row in rows):
                raise BoardError(f"{bot} runs: what it shows is in force: {self.path}")
            for row in rows:
                self.page.free(row.index)
        return rows

    def lost(self) -> str:
        """Tell why bots that start now would not meet us here; "" when they do."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            return f"the board is gone ({error.strerror}): {self.path}"
        if found.st_ino != self._inode:
            return f"the board was replaced: {self.path}"
        if found.st_size < PAGE_BYTES:
            return f"the board was cut to {found.st_size} bytes: {self.path}"
        return ""


@final
class Seat:
    """A row that this process holds."""

    def __init__(self, board: Board, index: int) -> None:
        self.board = board
        self.row = OwnRow(board.page, index)

    def fault(self) -> str:
        """Tell what is wrong with the board, "" when nothing is; looks at the file."""
        if self.row.fault:
            return f"{FAULTS[BoardFault(self.row.fault)]}: {self.board.path}"
        return self.board.lost()

    def neighbours(self) -> list[Row]:
        """Return the rows of others on the same market."""
        rows = self.board.rows()
        mine = next((row for row in rows if row.index == self.row.index), None)
        if mine is None:
            return []
        return [row for row in rows if row.market == mine.market and row.index != mine.index]

    def leave(self, *, proven: bool) -> None:
        """Give the row up; it is taken off if nothing of ours is open, else it stays in force.

        Args:
            proven: that nothing is open. A row that shows no price needs no proof.
        """
        if not self.row.fault:
            empty = self.row.shown == (NOTHING_BID, NOTHING_ASK)
            self.board.give_up(self.row.index, free=proven or empty)
        self.row.detach()


@final
class Guard:
    """Keep orders that leave one by one clear of other bots' and of each other.

    The hedge's, or a program's of its own. Each order is entered before its bytes leave, and left
    once it is proven gone; between them it counts, whatever is known of it.
    """

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._orders: dict[int, tuple[Side, int]] = {}

    def enter(self, key: int, side: Side, price_ticks: int) -> int:
        """Show an order that is about to leave; return the price it would meet, 0 when it may go.

        One that would meet another's is not shown any more on return, and must not be sent. Where
        the board cannot be read, every order would: -1.

        Args:
            key: names the order to `leave`. An amend is entered under a key of its own: the old
                price counts until the venue has confirmed the new one.
            price_ticks: worst price it may trade at.
        """
        before = self._orders.get(key)
        own = [ticks for one, ticks in self._orders.values() if one is not side]
        self._orders[key] = (side, price_ticks)
        self._show()
        row = self.seat.row
        row.look()
        if side is Side.BUY:
            other = min([row.ask_ticks, *own])
            met = price_ticks >= other
        else:
            other = max([row.bid_ticks, *own])
            met = price_ticks <= other
        if not met:
            return 0
        if before is None:
            self.leave(key)
        else:
            self._orders[key] = before
            self._show()
        return -1 if row.fault else other

    def keep(self, key: int, side: Side, price_ticks: int) -> None:
        """Show an order of an earlier run that may be open: it counts, and is not asked about."""
        self._orders[key] = (side, price_ticks)
        self._show()

    def leave(self, key: int) -> None:
        """Show an order no more: it is proven gone, or its bytes never left."""
        if self._orders.pop(key, None) is not None:
            self._show()

    def settle(self) -> None:
        """Every order of earlier runs is known, by `keep`, or proven gone."""
        self.seat.row.settle()
        self._show()

    def _show(self) -> None:
        bids = [ticks for side, ticks in self._orders.values() if side is Side.BUY]
        asks = [ticks for side, ticks in self._orders.values() if side is not Side.BUY]
        self.seat.row.publish(max(bids, default=NOTHING_BID), min(asks, default=NOTHING_ASK))
