"""What commands with a key were answered: told again, they get the same reply and do nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

from openmm.errors import CommandError

REPLIES_MAX: Final = 512  # of one client
CLIENTS_MAX: Final = 64
Held: TypeAlias = OrderedDict[str, tuple[str, Mapping[str, str], dict[str, Any]]]


@final
class Replies:
    """Remember each client's last replies, by key; the oldest go first.

    Nobody pushes another's out, so that an order asked for again after a silence is still known.
    """

    def __init__(self, most: int = REPLIES_MAX, clients: int = CLIENTS_MAX) -> None:
        self._most = most
        self._clients = clients
        self._held: OrderedDict[str, Held] = OrderedDict()

    def find(
        self, client: str, key: str, name: str, args: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return the first reply to a command told again; None: it is new.

        Raises:
            CommandError: another command, or other arguments, had this key (`key_reused`).
        """
        held = self._held.get(client, Held()).get(key) if key else None
        if held is None:
            return None
        if held[:2] != (name, args):
            raise CommandError(
                f"the key {key} has been used for another {held[0]}", code="key_reused"
            )
        return {**held[2], "repeated": True}

    def keep(
        self, client: str, key: str, name: str, args: Mapping[str, str], reply: dict[str, Any]
    ) -> None:
        """Remember a reply; one of a command without a key is not."""
        if not key:
            return
        mine = self._held.setdefault(client, Held())
        mine[key] = (name, args, reply)
        if len(mine) > self._most:
            mine.popitem(last=False)
        self._held.move_to_end(client)
        if len(self._held) > self._clients:
            self._held.popitem(last=False)
