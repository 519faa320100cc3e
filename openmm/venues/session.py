"""A session's client ids and requests, asked of the encoder that wrote them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from openmm._fast.ports import Encoder
from openmm._fast.text import base32
from openmm.venues.connector import OrderHttp

E = TypeVar("E", bound=Encoder)


class Session(Generic[E]):
    """The part of a connector that knows this session's ids; a venue's connector fills in the rest.

    Until `order_encoder` has made `_encoder` there is no session to ask about.
    """

    _encoder: E | None = None

    def order_http(self) -> OrderHttp | None:
        """Return nothing: orders go over the private connection."""
        return None

    def client_id(self, seq: int) -> str:
        """Return the client id of an order of this session."""
        return self._ids().client_id(seq)

    def seq_of(self, client_id: str) -> int:
        """Return the order-table sequence of an id of this session, 0 when it is not."""
        return self._ids().seq_of(client_id)

    def is_earlier(self, client_id: str) -> bool:
        """Whether the id is this bot's, of an earlier session."""
        return self._ids().is_earlier(client_id)

    def is_later(self, client_id: str) -> bool:
        """Whether the id is this bot's, of a session that began after this one."""
        return self._ids().is_later(client_id)

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return the kind and the sequences of a hot-path request; ("", ()) if unknown."""
        return self._ids().requested(req_id)

    def superseded(self, req_id: int, seq: int) -> bool:
        """Whether a later request of the kind names the order: an answer to this one is old."""
        return self._ids().superseded(req_id, seq)

    def _ids(self) -> E:
        assert self._encoder is not None, "order_encoder comes first"
        return self._encoder

    def _asked(self, req_id: int) -> tuple[str, Sequence[str]]:
        """Return the kind and the client ids of a hot-path request, for answers that name none."""
        if self._encoder is None:
            return "", ()
        kind, seqs = self._encoder.requested(req_id)
        return kind, [self._encoder.client_id(seq) for seq in seqs]


def bot_mark(name: str) -> str:
    """Return the 3 characters that tell a bot in client ids, from its name."""
    return base32(zlib.crc32(name.encode()))[-3:]


def session_mark(session_s: int) -> str:
    """Return the 7 characters that tell a session, from its start; their texts sort by it."""
    return base32(session_s)
