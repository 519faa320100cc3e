"""What a page shows as flat values, and what of it changed since it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, final

# A cell: its text, or text and tone, or text, tone and more (`bar`, `href`, `title`).
Cell: TypeAlias = str | list[Any]


class Sheet:
    """Everything one page shows at a moment.

    Attributes:
        text: by key, the text of an element with `data-k`.
        tone: by key, its colour's name: good, bad, warn, dim, or nothing.
        bar: by key, where a bar begins and ends, in per cent, and its tone.
        rows: by table, its rows.
        more: by name, values for the page's script.
    """

    __slots__ = ("bar", "more", "rows", "text", "tone")

    def __init__(self) -> None:
        self.text: dict[str, str] = {}
        self.tone: dict[str, str] = {}
        self.bar: dict[str, list[Any]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.more: dict[str, Any] = {}

    def put(self, key: str, text: str, tone: str = "") -> None:
        """Show a text."""
        self.text[key] = text
        self.tone[key] = tone

    def fill(self, key: str, start: float, end: float, tone: str = "") -> None:
        """Draw a bar from one share of its width to another; cut to the bar."""
        low, high = sorted((min(1.0, max(0.0, start)), min(1.0, max(0.0, end))))
        self.bar[key] = [round(low * 100, 1), round(high * 100, 1), tone]

    def row(self, table: str, cells: Sequence[Cell], tone: str = "", ident: str = "") -> None:
        """Add a row to a table.

        Args:
            ident: what a click on it tells; empty: it cannot be clicked.
        """
        self.rows.setdefault(table, []).append({"c": list(cells), "t": tone, "id": ident})


@final
class Sent:
    """What one page has been sent. Gives the difference to what it should show."""

    def __init__(self) -> None:
        self._flat: dict[str, dict[str, Any]] = {"text": {}, "tone": {}, "bar": {}, "more": {}}
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def difference(self, sheet: Sheet) -> dict[str, Any]:
        """Return what to send so that the page shows the sheet; empty when it does."""
        out: dict[str, Any] = {}
        for kind, known in self._flat.items():
            now = getattr(sheet, kind)
            news = {key: value for key, value in now.items() if known.get(key, _NEW) != value}
            if news:
                out[kind] = news
                known.update(news)
        for table, rows in sheet.rows.items():
            before = self._rows.get(table)
            changed = {
                str(index): row
                for index, row in enumerate(rows)
                if before is None or index >= len(before) or before[index] != row
            }
            if changed or before is None or len(before) != len(rows):
                out.setdefault("rows", {})[table] = {"n": len(rows), "r": changed}
                self._rows[table] = rows
        return out

    def forget(self) -> None:
        """Send everything anew with the next difference."""
        for known in self._flat.values():
            known.clear()
        self._rows.clear()


_NEW = object()
