"""Keys of a venue: what they consist of, and what they may look like."""

from __future__ import annotations

from dataclasses import dataclass, field

from openmm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Keys:
    """A key, its secret and, where the venue has one, its passphrase; none shows in a log.

    `source` says where they were found; it takes no part in comparisons.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)
    source: str = field(default="", compare=False)

    def __repr__(self) -> str:
        """Tell that keys are there, not which."""
        return "Keys(key=<redacted>, secret=<redacted>)"


def check_text(name: str, text: str) -> str:
    """Return a key, secret or passphrase as it is.

    Raises:
        ConfigError: it has blanks or other bytes that no venue's key has; the text is not shown.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(name, "<redacted>", "printable ASCII without blanks")
    return text
