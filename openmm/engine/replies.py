"""What commands with a key were answered: told again, they get the same reply and do nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, final

from openmm.errors import CommandError

REPLIES_MAX: Final = 1024


@final
class Replies:
    """Remember the last replies, by client and key; the oldest go first."""

    def __init__(self, most: int = REPLIES_MAX) -> None:
        self._most = most
        self._held: OrderedDict[tuple[str, str], tuple[str, Mapping[str, str], dict[str, Any]]] = (
            OrderedDict()
        )

    def find(
        self, client: str, key: str, name: str, args: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return the first reply to a command told again; None: it is new.

        Raises:
            CommandError: another command, or other arguments, had this key (`key_reused`).
        """
        held = self._held.get((client, key)) if key else None
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
        self._held[client, key] = (name, args, reply)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
