"""Write Kraken's channel messages: executions, balances, trades, ticker, instruments.

Source: Kraken, Executions, Balances, Trades, Ticker, Instruments (websocket-v2), read in 2026.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from openmm.instrument import Instrument
from openmm.venues.counterpart import (
    Change,
    Core,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    TradeRecord,
)
from openmm.venues.kraken.dialect_text import (
    SIDE_TEXT,
    TIF_TEXT,
    average_text,
    fixed,
    order_status,
    price_text,
    qty_text,
    time_text,
)

EXEC_TYPES = {
    Change.PENDING: "pending_new",
    Change.OPENED: "new",
    Change.TRADED: "trade",
    Change.FILLED: "filled",
    Change.CANCELLED: "canceled",
    Change.EXPIRED: "expired",
    Change.AMENDED: "amended",
}


def _ids(order: OrderRecord) -> str:
    return f'"order_id":"{order.venue_order_id}","order_userref":{order.user_ref or 0}'


def _totals(pair: Instrument, order: OrderRecord) -> str:
    return _cumulative(pair, order.filled_lots, order.cost_atoms, order.fee_atoms)


def _cumulative(pair: Instrument, filled_lots: int, cost_atoms: int, fee_atoms: int) -> str:
    """Write cumulative figures. `fee_usd_equiv` is the fee in the quote asset (SIM)."""
    return (
        f'"cum_qty":{qty_text(pair, filled_lots)},'
        f'"cum_cost":{fixed(cost_atoms, pair.quote_decimals)},'
        f'"avg_price":{average_text(pair, cost_atoms, filled_lots)},'
        f'"fee_usd_equiv":{fixed(fee_atoms, pair.quote_decimals)}'
    )


def _description(pair: Instrument, order: OrderRecord) -> str:
    """Write what describes an order in full, as `pending_new` and snapshots do."""
    parts = [_ids(order)]
    if order.client_id:
        parts.append(f'"cl_ord_id":{json.dumps(order.client_id)}')
    tif = "GTD" if order.expire_ns is not None else TIF_TEXT[order.tif]
    parts += [
        f'"symbol":"{order.instrument}"',
        f'"order_qty":{qty_text(pair, order.qty_lots)}',
        f'"time_in_force":"{tif}"',
        f'"side":"{SIDE_TEXT[order.side]}"',
        f'"order_type":"{"market" if order.price_ticks is None else "limit"}"',
        '"limit_price_type":"static"',
    ]
    if order.price_ticks is not None:
        parts.append(f'"limit_price":{price_text(pair, order.price_ticks)}')
    if order.post_only:
        parts.append('"post_only":true')
    if order.expire_ns is not None:
        parts.append(f'"expire_time":"{time_text(order.expire_ns)}"')
    parts += ['"stop_price":0.0', '"fee_ccy_pref":"fciq"']
    return ",".join(parts)


def execution(
    core: Core,
    order: OrderRecord,
    change: Change,
    fill: FillRecord | None,
    ts_ns: int,
    extra: str,
) -> str:
    """Write a report; follow-ups carry only what changed."""
    pair = core.instruments[order.instrument]
    head = f'"exec_type":"{EXEC_TYPES[change]}","timestamp":"{time_text(ts_ns)}"{extra}'
    status = f'"order_status":"{order_status(order)}"'
    if change is Change.PENDING:
        zero = fixed(0, pair.quote_decimals)
        body = f'{_description(pair, order)},"cum_cost":{zero},"fee_usd_equiv":{zero},{status}'
    elif change is Change.OPENED:
        body = f"{_ids(order)},{status}"
    elif change is Change.TRADED and fill is not None:
        body = _fill(core, pair, order, fill, "partially_filled")
    elif change is Change.AMENDED:
        price_ticks = order.price_ticks or 0
        body = (
            f'{_ids(order)},"order_qty":{qty_text(pair, order.qty_lots)},'
            f'"limit_price":{price_text(pair, price_ticks)},"limit_price_type":"static",'
            f'"cum_qty":{qty_text(pair, order.filled_lots)},"amended":true,'
            f'"reason":"User requested",{status}'
        )
    else:
        body = f"{_ids(order)},{_totals(pair, order)},{status}"
        if order.reason:
            reason = json.dumps(order.reason)
            body += f',"reason":{reason},"cancel_reason":{reason}'
    return f"{{{body},{head}}}"


def _fill(core: Core, pair: Instrument, order: OrderRecord, fill: FillRecord, status: str) -> str:
    decimals = pair.quote_decimals
    fee = fixed(fill.fee_atoms, core.asset_decimals(fill.fee_asset))
    cumulative = _cumulative(
        pair, fill.filled_lots, fill.order_cost_atoms, fill.order_fee_atoms
    ).rpartition(',"fee_usd_equiv"')[0]
    return (
        f'{_ids(order)},"exec_id":"{fill.exec_id}","trade_id":{fill.trade_id},'
        f'"symbol":"{fill.instrument}","side":"{SIDE_TEXT[fill.side]}",'
        f'"last_qty":{qty_text(pair, fill.qty_lots)},'
        f'"last_price":{price_text(pair, fill.price_ticks)},'
        f'"liquidity_ind":"{"m" if fill.maker else "t"}",'
        f'"cost":{fixed(fill.cost_atoms, decimals)},'
        f'"order_type":"{"market" if order.price_ticks is None else "limit"}",'
        f'"order_status":"{status}",{cumulative},'
        f'"fee_usd_equiv":{fixed(fill.fee_atoms, decimals)},'
        f'"fees":[{{"asset":"{fill.fee_asset}","qty":{fee}}}]'
    )


def snapshot_order(core: Core, order: OrderRecord) -> str:
    """Write an open order of a snapshot (SIM: `exec_type` is `new`)."""
    pair = core.instruments[order.instrument]
    return (
        f"{{{_description(pair, order)},{_totals(pair, order)},"
        f'"exec_type":"new","order_status":"{order_status(order)}",'
        f'"timestamp":"{time_text(order.created_ns)}"}}'
    )


def snapshot_fill(core: Core, account: int, fill: FillRecord) -> str:
    """Write a fill of a snapshot, with its order's present status."""
    pair = core.instruments[fill.instrument]
    order = core.order(account, fill.venue_order_id)
    assert order is not None, fill.venue_order_id
    client = f'"cl_ord_id":{json.dumps(order.client_id)},' if order.client_id else ""
    body = _fill(core, pair, order, fill, order_status(order))
    return f'{{{client}{body},"exec_type":"trade","timestamp":"{time_text(fill.ts_ns)}"}}'


def balances_snapshot(core: Core, account: int, sequence: int) -> bytes:
    """Write the totals of an account."""
    rows = []
    for asset, (total, _) in core.balances(account).items():
        text = fixed(total, core.asset_decimals(asset))
        rows.append(
            f'{{"asset":"{asset}","asset_class":"currency","balance":{text},'
            f'"wallets":[{{"type":"spot","id":"main","balance":{text}}}]}}'
        )
    return (
        f'{{"channel":"balances","type":"snapshot","data":[{",".join(rows)}],'
        f'"sequence":{sequence}}}'
    ).encode()


def balance_update(core: Core, entry: LedgerRecord, sequence: int) -> bytes:
    """Write one ledger entry."""
    decimals = core.asset_decimals(entry.asset)
    return (
        f'{{"channel":"balances","type":"update","data":[{{"ledger_id":"{entry.ledger_id}",'
        f'"ref_id":"{entry.ref_id}","timestamp":"{time_text(entry.ts_ns)}","type":"{entry.kind}",'
        f'"asset":"{entry.asset}","asset_class":"currency","category":"{entry.kind}",'
        f'"wallet_type":"spot","wallet_id":"main","amount":{fixed(entry.amount_atoms, decimals)},'
        f'"fee":{fixed(entry.fee_atoms, decimals)},'
        f'"balance":{fixed(entry.balance_atoms, decimals)}}}],"sequence":{sequence}}}'
    ).encode()


def trades_data(pair: Instrument, trades: Sequence[TradeRecord]) -> str:
    """Write the rows of a trade message."""
    return ",".join(
        f'{{"symbol":"{pair.name}","side":"{SIDE_TEXT[row.taker_side]}",'
        f'"price":{price_text(pair, row.price_ticks)},"qty":{qty_text(pair, row.qty_lots)},'
        f'"ord_type":"{"market" if row.market_order else "limit"}","trade_id":{row.trade_id},'
        f'"timestamp":"{time_text(row.ts_ns)}"}}'
        for row in trades
    )


def ticker(core: Core, instrument: str, kind: str, ts_ns: int) -> bytes:
    """Write a ticker; day figures are those of the trades still kept (SIM)."""
    pair = core.instruments[instrument]
    bid = core.depth(instrument, 0, 1) or [(0, 0)]
    ask = core.depth(instrument, 1, 1) or [(0, 0)]
    trades = core.trades(instrument, 1 << 20)
    prices = [row.price_ticks for row in trades] or [bid[0][0]]
    volume = sum(row.qty_lots for row in trades)
    weighted = sum(row.price_ticks * row.qty_lots for row in trades)
    vwap = Decimal(weighted) / volume * pair.tick_size if volume else pair.price(prices[-1])
    change = prices[-1] - prices[0]
    percent = Decimal(100 * change) / prices[0] if prices[0] else Decimal(0)
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{instrument}",'
        f'"bid":{price_text(pair, bid[0][0])},"bid_qty":{qty_text(pair, bid[0][1])},'
        f'"ask":{price_text(pair, ask[0][0])},"ask_qty":{qty_text(pair, ask[0][1])},'
        f'"last":{price_text(pair, prices[-1])},"volume":{qty_text(pair, volume)},'
        f'"vwap":{vwap:.{pair.price_decimals}f},"low":{price_text(pair, min(prices))},'
        f'"high":{price_text(pair, max(prices))},"change":{price_text(pair, change)},'
        f'"change_pct":{percent:.2f},"timestamp":"{time_text(ts_ns)}"}}]}}'
    ).encode()


def instrument_snapshot(core: Core) -> bytes:
    """Write assets and pairs."""
    decimals = {
        asset: places
        for pair in core.instruments.values()
        for asset, places in ((pair.base, pair.base_decimals), (pair.quote, pair.quote_decimals))
    }
    assets = ",".join(
        f'{{"id":"{asset}","status":"enabled","precision":{places},'
        f'"precision_display":{min(places, 5)},"borrowable":false,"collateral_value":1.00}}'
        for asset, places in decimals.items()
    )
    pairs = ",".join(
        f'{{"symbol":"{pair.name}","base":"{pair.base}","quote":"{pair.quote}",'
        f'"status":"{pair.status}","qty_precision":{pair.qty_decimals},'
        f'"qty_increment":{pair.lot_size:f},"price_precision":{pair.price_decimals},'
        f'"cost_precision":{cost_decimals(pair)},"marginable":false,"has_index":true,'
        f'"cost_min":{pair.cost_min:f},"tick_size":{pair.tick_size:f},'
        f'"price_increment":{pair.tick_size:f},"qty_min":{pair.qty_min:f}}}'
        for pair in core.instruments.values()
    )
    return (
        f'{{"channel":"instrument","type":"snapshot","data":{{"assets":[{assets}],'
        f'"pairs":[{pairs}]}}}}'
    ).encode()


def cost_decimals(pair: Instrument) -> int:
    """Return the decimals of costs: one more than the quote asset's ledger has."""
    return pair.quote_decimals + 1
