"""Recordings of all venues: whose one is, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from openmm.errors import ConfigError, ProtocolError
from openmm.venues.binance.recording import read_recording as read_binance
from openmm.venues.bitget.verify import read_recording as read_bitget
from openmm.venues.capture import ends_inside, is_capture, read_head, reading
from openmm.venues.coinbase.recording import read_recording as read_coinbase
from openmm.venues.gateio.verify import read_recording as read_gateio
from openmm.venues.kraken.recording import read_recording as read_kraken
from openmm.venues.mexc.verify import read_recording as read_mexc
from openmm.venues.recordings import Recording


def named(read: Callable[[Path], Recording]) -> Callable[[Path], Recording]:
    """Return a reader whose errors all name the file, and say so where it is cut."""

    def reader(path: Path) -> Recording:
        try:
            return read(path)
        except ProtocolError as error:
            told = str(error).replace(f"{path}: ", "")
            if "cut" not in told and ends_inside(path):
                told = f"cut short: {told}"
            raise ProtocolError(f"{path}: {told}") from error

    return reader


READERS: Final[Mapping[str, Callable[[Path], Recording]]] = {
    "binance": named(read_binance),
    "bitget": named(read_bitget),
    "coinbase": named(read_coinbase),
    "gateio": named(read_gateio),
    "kraken": named(read_kraken),
    "mexc": named(read_mexc),
}


def split(text: str, *, by_folder: bool = False) -> tuple[str, Path]:
    """Tell whose recording `FILE` or `VENUE:FILE` is, and which file.

    Args:
        by_folder: a file that does not tell whose it is belongs to the venue that its folder is
            named after.

    Raises:
        ConfigError: no such file, or one that does not tell whose it is.
    """
    venue, mark, rest = text.partition(":")
    known = bool(mark) and venue in READERS
    path = Path(rest if known else text)
    if not path.is_file():
        raise ConfigError("data", str(path), "a recording that is there")
    try:
        return (venue if known else _venue_of(path, by_folder)), path
    except ProtocolError as error:
        raise ConfigError("data", str(path), f"a recording ({error})") from error


def _venue_of(path: Path, by_folder: bool) -> str:
    """Tell whose a recording is."""
    if is_capture(path):
        venue = read_head(path).venue
        if venue in READERS:
            return venue
    elif by_folder and path.absolute().parent.name in READERS:
        return path.absolute().parent.name
    elif ".csv" in path.name:
        return "coinbase"
    else:
        with reading(path) as file:
            if file.read(16).strip().isdigit():
                return "binance"
        if ends_inside(path):
            raise ProtocolError(f"{path}: cut short before it tells whose it is")
    raise ConfigError("data", str(path), f"VENUE:{path}, VENUE one of {', '.join(READERS)}")
