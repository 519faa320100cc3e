"""Compare our fill models with hftbacktest's: `python -m bench.compare_fills [--data FILE ...]`.

The same orders, on a schedule, rest in the same recorded market: at our venue (`QueueVenue`) and at
hftbacktest's, by each queue model and with and without partial fills. An order is alike when every
fill of it is, time and quantity. Those that are not are counted by the rule that makes the
difference (`bench.fill_rules`): its plain model, which fills as ours does, fills as hftbacktest
does once all its rules are switched. What is left over then is unexplained. Without `--data` the
market is a synthetic one of long queues, and the recorded one of `../shared` where that is there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.book_streams import shared_data
from bench.fill_rules import RULES, Fill, Rules
from bench.fill_schedule import (
    Message,
    Order,
    apply_to,
    messages_of,
    near,
    queues,
    schedule,
    table_of,
)
from bench.peers import ROOT, peers_python
from bench.replay_streams import read
from openmm._fast.book import Book
from openmm._fast.queue import QueueModel
from openmm._fast.queue_venue import Link, QueueVenue, Told
from openmm.data.events import LEVEL, TRADE, Events
from openmm.data.hftbacktest import arrays

# Ours, and what hftbacktest calls it.
MODELS: dict[str, tuple[QueueModel, int, str]] = {
    "careful": (QueueModel.QUEUE_CAUTIOUS, 1, "RiskAdverseQueueModel"),
    "power1": (QueueModel.QUEUE_POWER, 1, "PowerProbQueueModel(1)"),
    "power2": (QueueModel.QUEUE_POWER, 2, "PowerProbQueueModel(2)"),
    "power3": (QueueModel.QUEUE_POWER, 3, "PowerProbQueueModel(3)"),
    "log": (QueueModel.QUEUE_LOG, 1, "LogProbQueueModel"),
}
EXCHANGES = ("partial", "whole")
RECORDED = "usdm_btcusdt_20240808.gz"
RECORDED_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Compared:
    """One queue model and exchange on one market.

    Args:
        orders: of the schedule.
        filled: how many of them either side filled, in part at least.
        alike: orders of which every fill is the same on both sides.
        causes: by rule, how many orders it changes; an order may stand under several.
        unexplained: orders that the plain model, with all rules switched, does not fill as
            hftbacktest does, or without any not as ours.
    """

    name: str
    orders: int
    filled: int
    alike: int
    causes: dict[str, int] = field(default_factory=dict)
    unexplained: int = 0

    @property
    def share(self) -> float:
        """Return the share of orders alike among those that either side filled."""
        differing = self.orders - self.alike
        return (self.filled - differing) / self.filled if self.filled else 1.0


def ours(
    messages: Iterable[Message], orders: Sequence[Order], model: QueueModel, power: int
) -> list[Fill]:
    """Put a schedule through our venue; returns its fills in order."""
    book, answers = Book(outside_levels=1 << 16), Link([0])
    venue = QueueVenue(book, answers, model, power)
    actions = sorted(
        [(one.place_ns, at, Told.TOLD_PLACE) for at, one in enumerate(orders)]
        + [(one.cancel_ns, at, Told.TOLD_CANCEL) for at, one in enumerate(orders)]
    )
    at = 0
    seqs: dict[int, int] = {}
    fills: list[Fill] = []

    def listen() -> None:
        fills.extend(
            (seqs[one.seq], one.due_ns, one.qty_lots)
            for one in answers.take(1 << 62)
            if one.told == Told.TOLD_FILL
        )

    for recv_ns, rows in messages:
        while at < len(actions) and actions[at][0] < recv_ns:
            when, number, told = actions[at]
            order = orders[number]
            seqs[number + 1] = number
            venue.request(
                told, number + 1, when, side=order.side, price_ticks=order.price_ticks,
                qty_lots=order.qty_lots,
            )  # fmt: skip
            at += 1
            listen()
        for kind, side, price, qty in rows:
            if kind == LEVEL:
                venue.level(side, price, qty, recv_ns)
            elif kind == TRADE:
                venue.trade(side, price, qty, recv_ns)
            else:
                apply_to(book, [(kind, side, price, qty)])
        if any(kind != TRADE for kind, *_ in rows):
            venue.settle(recv_ns)
        listen()
    return fills


def theirs(events: Events, orders: Sequence[Order]) -> dict[str, list[Fill]]:
    """Put a schedule through hftbacktest, by each queue model and exchange.

    Raises:
        subprocess.CalledProcessError: it does not run; what it printed is shown.
    """
    market = replace(events.market, tick_size=Decimal(1), lot_size=Decimal(1))
    zero = np.zeros_like(events.recv_ns)
    table, _ = arrays(replace(events, market=market, venue_ns=zero))
    rows = table_of(list(orders))
    # A request takes a nanosecond to get there.
    rows[:, :2] -= 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fills.npz"
        np.savez(path, table=table, orders=rows)
        done = subprocess.run(
            [str(peers_python("replay_peers")), "-m", "bench.peer_fills", str(path)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout)
    return {name: [(n, at, qty) for n, at, qty in one["fills"]] for name, one in told.items()}


def by_order(fills: Iterable[Fill]) -> dict[int, list[tuple[int, int]]]:
    """Return each order's fills."""
    made: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, when, lots in fills:
        if made[number] and made[number][-1][0] == when:
            # Several levels at one time are one fill of the order.
            made[number][-1] = (when, made[number][-1][1] + lots)
        else:
            made[number].append((when, lots))
    return made


def differing(one: Iterable[Fill], other: Iterable[Fill]) -> set[int]:
    """Return the orders whose fills are not the same."""
    a, b = by_order(one), by_order(other)
    return {number for number in a.keys() | b.keys() if a.get(number) != b.get(number)}


def compare(events: Events, orders: Sequence[Order]) -> list[Compared]:
    """Compare every queue model and exchange on one market."""
    messages = list(messages_of(events))
    peer = theirs(events, orders)
    found = []
    for name, (model, power, _) in MODELS.items():
        own = ours(messages, orders, model, power)
        queue = "power" if name.startswith("power") else name
        for exchange in EXCHANGES:
            other = peer[f"{name}/{exchange}"]
            unlike = differing(own, other)
            causes: dict[str, int] = {}
            switched: list[str] = []
            last = Rules(queue, float(power), frozenset()).run(messages, orders)
            unexplained = differing(last, own)
            for rule in RULES:
                if rule == "whole" and exchange == "partial":
                    continue
                switched.append(rule)
                then = Rules(queue, float(power), frozenset(switched)).run(messages, orders)
                causes[rule] = len(differing(last, then))
                last = then
            unexplained |= differing(last, other)
            filled = len(by_order(own).keys() | by_order(other).keys())
            found.append(
                Compared(
                    f"{name}/{exchange}", len(orders), filled, len(orders) - len(unlike), causes,
                    len(unexplained),
                )
            )  # fmt: skip
    return found


def markets(paths: Sequence[Path] = ()) -> list[tuple[str, Events]]:
    """Return the markets to compare on: of the recordings given, or the usual ones."""
    if paths:
        return [(path.name.partition(".")[0], beginning(path)) for path in paths]
    data = shared_data()
    found = [("synthetic", queues())]
    if data is not None:
        found.append(("recorded", beginning(data / "binance" / RECORDED)))
    return found


def beginning(path: Path) -> Events:
    """Read the first minute of a recording, near its best prices."""
    events = read(path).events
    start_ns = int(events.recv_ns[0])
    return near(events.between(start_ns, start_ns + RECORDED_NS))


def table(name: str, found: Sequence[Compared]) -> Table:
    """Lay out what was found on one market."""
    made = Table(title=f"{name}: {found[0].orders} orders")
    for heading in (
        "hftbacktest's queue model",
        "exchange",
        "filled",
        "alike",
        *RULES,
        "unexplained",
    ):
        made.add_column(
            heading, justify="left" if heading == "hftbacktest's queue model" else "right"
        )
    for one in found:
        queue, _, exchange = one.name.partition("/")
        made.add_row(
            MODELS[queue][2], exchange, str(one.filled), f"{one.share:.1%}",
            *(str(one.causes.get(rule, "")) for rule in RULES), str(one.unexplained),
        )  # fmt: skip
    return made


def main() -> None:
    """Compare on each market and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare_fills", description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="Binance recordings")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    args = parser.parse_args()
    found = {name: compare(events, schedule(events)) for name, events in markets(args.data)}
    if args.json:
        told = {
            name: [asdict(one) | {"share": one.share} for one in some]
            for name, some in found.items()
        }
        print(json.dumps({"markets": told, "rules": RULES}))
        return
    console = Console()
    for name, some in found.items():
        console.print(table(name, some))
    for rule, why in RULES.items():
        console.print(f"{rule}: {why}")


if __name__ == "__main__":
    main()
