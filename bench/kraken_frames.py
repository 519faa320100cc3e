"""Kraken frames that decoders are timed on: 6.4 levels each, one each, and recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.book_streams import shared_data
from openmm.testing.workload import NARROW, WIDE, Mix, WorkloadSpec, make
from openmm.venues.capture import read_frames

RECORDING = Path("kraken") / "v2_btcusd_d25_20260802.cbcap.gz"


@dataclass(frozen=True, slots=True)
class Frames:
    """Book frames of BTC/USD, the first a snapshot, every checksum right."""

    name: str
    frames: list[bytes]
    depth: int = 25
    price_decimals: int = 1
    qty_decimals: int = 8

    @property
    def levels(self) -> float:
        """Levels an update carries, on average."""
        updates = self.frames[1:]
        return sum(one.count(b'"price"') for one in updates) / len(updates)


def generated(mix: Mix, messages: int = 4000) -> Frames:
    """Make book frames of one mix; nothing but books."""
    spec = WorkloadSpec(messages=messages, mix=mix, trade_share=0.0, heartbeat_share=0.0)
    return Frames(mix.name, make(spec).frames)


def recorded() -> Frames | None:
    """Return the recorded frames, mostly one level each; None without the data."""
    data = shared_data()
    if data is None:
        return None
    frames = [one.data for one in read_frames(data / RECORDING)]
    return Frames(
        "recorded", [one for one in frames if one.startswith(b'{"channel":"book","type"')]
    )


def all_frames(messages: int = 4000) -> list[Frames]:
    """Return every set there is."""
    found = [generated(NARROW, messages), generated(WIDE, messages)]
    real = recorded()
    return found if real is None else [*found, real]
