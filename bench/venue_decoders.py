"""Our decoder of each feed of `venue_frames`, its book begun."""

from __future__ import annotations

from bench.venue_frames import GATEIO_DEPTHS, PRICE_DECIMALS, QTY_DECIMALS, SYMBOLS, Frames
from openmm._fast.book import Book
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.bitget.wire import BitgetDecoder
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.gateio.wire import GateioDecoder

AnyDecoder = GateioDecoder | BitgetDecoder | BinanceDecoder | CoinbaseDecoder


def decoder_of(frames: Frames) -> tuple[AnyDecoder, Book]:
    """Make a decoder whose book has begun."""
    book, venue = Book(), frames.venue
    steps = (SYMBOLS[venue], 0, book, 1, PRICE_DECIMALS, 1, QTY_DECIMALS)
    decoder: AnyDecoder
    match venue:
        case "gateio":
            decoder = GateioDecoder()
            decoder.bind(*steps, GATEIO_DEPTHS[frames.feed])
        case "bitget":
            decoder = BitgetDecoder()
            decoder.bind(*steps)
        case "binance":
            decoder = BinanceDecoder()
            decoder.bind(*steps, 1000)
        case _:
            decoder = CoinbaseDecoder()
            decoder.bind(*steps, 1000)
    decoder.decode(frames.start)
    return decoder, book
