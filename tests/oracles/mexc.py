"""MEXC's messages by the reference implementation of protobuf, from the venue's own schema."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

S, N, B, M = "string", "int64", "bool", "message"
LEVEL = [(1, "price", S), (2, "quantity", S)]
# Source: mexcdevelop/websocket-proto of 2026-06-17.
BODIES: dict[str, tuple[int, list[tuple[int, str, str]], list[tuple[int, str, str]]]] = {
    "publicLimitDepths": (
        303, [(3, "eventType", S), (4, "version", S), (5, "lastOrderCreateTime", N)], LEVEL,
    ),
    "publicAggreDepths": (
        313,
        [(3, "eventType", S), (4, "fromVersion", S), (5, "toVersion", S),
         (6, "lastOrderCreateTime", N)],
        LEVEL,
    ),
    "publicAggreBookTicker": (
        315,
        [(1, "bidPrice", S), (2, "bidQuantity", S), (3, "askPrice", S), (4, "askQuantity", S),
         (5, "version", S), (6, "lastOrderCreateTime", N)],
        [],
    ),
    "privateOrders": (
        304,
        [(1, "id", S), (2, "clientId", S), (3, "price", S), (4, "quantity", S), (5, "amount", S),
         (6, "avgPrice", S), (7, "orderType", N), (8, "tradeType", N), (9, "isMaker", B),
         (10, "remainAmount", S), (11, "remainQuantity", S), (12, "lastDealQuantity", S),
         (13, "cumulativeQuantity", S), (14, "cumulativeAmount", S), (15, "status", N),
         (16, "createTime", N)],
        [],
    ),
    "privateDeals": (
        306,
        [(1, "price", S), (2, "quantity", S), (3, "amount", S), (4, "tradeType", N),
         (5, "isMaker", B), (6, "isSelfTrade", B), (7, "tradeId", S), (8, "clientOrderId", S),
         (9, "orderId", S), (10, "feeAmount", S), (11, "feeCurrency", S), (12, "time", N)],
        [],
    ),
    "privateAccount": (
        307,
        [(1, "vcoinName", S), (2, "coinId", S), (3, "balanceAmount", S),
         (4, "balanceAmountChange", S), (5, "frozenAmount", S), (6, "frozenAmountChange", S),
         (7, "type", S), (8, "time", N)],
        [],
    ),
}  # fmt: skip
KINDS = descriptor_pb2.FieldDescriptorProto
TYPES = {S: KINDS.TYPE_STRING, N: KINDS.TYPE_INT64, B: KINDS.TYPE_BOOL, M: KINDS.TYPE_MESSAGE}


def _add(
    made: Any, number: int, name: str, kind: str, of: str = "", repeated: bool = False
) -> None:
    made.field.add(
        number=number, name=name, type=TYPES[kind], json_name=name, type_name=of or None,
        label=KINDS.LABEL_REPEATED if repeated else KINDS.LABEL_OPTIONAL,
    )  # fmt: skip


def push_class() -> Any:
    """Make the venue's wrapper message with the reference implementation."""
    file = descriptor_pb2.FileDescriptorProto(name="mexc.proto", syntax="proto3")
    item = file.message_type.add(name="Item")
    for row in LEVEL:
        _add(item, *row)
    push = file.message_type.add(name="Push")
    for number, name, kind in ((1, "channel", S), (3, "symbol", S), (6, "sendTime", N)):
        _add(push, number, name, kind)
    for name, (number, fields, level) in BODIES.items():
        body = file.message_type.add(name=name)
        if level:
            _add(body, 1, "asks", M, ".Item", repeated=True)
            _add(body, 2, "bids", M, ".Item", repeated=True)
        for row in fields:
            _add(body, *row)
        _add(push, number, name, M, f".{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Push"))
