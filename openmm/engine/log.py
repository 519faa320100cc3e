"""The bot's log: JSON lines, rotated, without secrets."""

from __future__ import annotations

import logging
import logging.handlers
import re
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import orjson

FILE_BYTES_MAX = 10_000_000
FILES_KEPT = 5
_NAMES = r"(?:api[-_]?(?:key|sign|secret)|secret|token|signature|password|passphrase|authorization)"
_IN_TEXT = re.compile(rf"""(?ix) (["']?{_NAMES}["']? \s*[:=]\s*) ("[^"]*"|'[^']*'|[^\s,;&}}]+)""")
_KEY = re.compile(rf"(?i){_NAMES}")
_PLAIN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "taskName"}


@final
class JsonLines(logging.Formatter):
    """Format a record as one JSON object; known secrets and what looks like one are blanked."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line. What `extra=` gave stands beside the text."""
        body: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        body |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            body["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(self._clean(body), default=str).decode()

    def _clean(self, value: object) -> object:
        """Blank out secrets in any depth of a value."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {
                str(key): "<redacted>" if _KEY.search(str(key)) else self._clean(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.redact(str(value))

    def redact(self, text: str) -> str:
        """Blank out secrets in a text."""
        for secret in self._secrets:
            text = text.replace(secret, "<redacted>")
        return _IN_TEXT.sub(lambda found: f"{found[1]}<redacted>", text)


def start_log(path: Path, level: str, secrets: Collection[str] = ()) -> logging.Handler:
    """Send the package's log to a file; return the handler, to be given to `stop_log`."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8"
    )
    handler.setFormatter(JsonLines(secrets))
    logger = logging.getLogger("openmm")
    logger.setLevel(level.upper())
    logger.addHandler(handler)
    logger.propagate = False
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Close the log file."""
    logging.getLogger("openmm").removeHandler(handler)
    handler.close()
