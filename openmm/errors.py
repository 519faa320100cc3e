"""The error tree. Imports nothing of ours; everything may import it.

OpenMMError
├── ConfigError          a value of the operator's: file, option, environment
│   └── ConfigErrors     all that is wrong with one file, one line each
├── VenueError           a venue misbehaved, refused, or could not be reached
│   ├── TransportError   socket, HTTP or TLS failed; the outcome of a request is unknown
│   ├── ProtocolError    bytes that do not follow the venue's protocol
│   └── VenueRejected    the venue said no
├── RiskError            a command or order that risk does not allow
├── LedgerError          money that does not add up
├── JournalError         a tape or journal that cannot be read or written
├── TelemetryError       a telemetry page that cannot be read or written
├── BoardError           the page where the bots of a host see each other cannot be used
├── DataError            a file of market data that cannot be read as what it should be
├── VaultError           the vault of keys, or its passphrase
├── CommandError         a command that cannot be carried out as asked
└── ControlError         a call that the door for people and programs does not let in
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class OpenMMError(Exception):
    """Root of the tree. Carries data besides its text.

    `code` is a word for machines that stays as it is (docs/operating.md): of the class, unless the
    one who raises says more.
    """

    code: str = "error"

    def __init__(
        self,
        message: str,
        *,
        venue: str | None = None,
        instrument: str | None = None,
        code: str | None = None,
        retryable: bool = False,
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.venue = venue
        self.instrument = instrument
        if code is not None:
            self.code = code
        self.retryable = retryable
        # Of a refusal: the limit, its value, the value seen.
        self.details = dict(details or {})


class ConfigError(OpenMMError):
    """Report a configuration value: `path` of the key, `value` seen, `allowed` values."""

    code = "config"

    def __init__(self, path: str, value: object, allowed: str) -> None:
        super().__init__(f"{path}: {allowed}; got {value!r}")
        self.path = path
        self.value = value
        self.allowed = allowed


class ConfigErrors(ConfigError):
    """Report every bad value of a file at once: `errors`, one line each in the text."""

    def __init__(self, source: str, errors: Sequence[ConfigError]) -> None:
        if not errors:
            raise ValueError("no error to report")
        super().__init__(errors[0].path, errors[0].value, errors[0].allowed)
        self.source = source
        self.errors = tuple(errors)

    def __str__(self) -> str:
        """Return one line an error."""
        return "\n".join(f"{self.source}: {error}" for error in self.errors)


class VenueError(OpenMMError):
    """Root of everything a venue can do to us."""

    code = "venue"


class TransportError(VenueError):
    """Report a failed socket, HTTP or TLS exchange; what the venue did with it is unknown."""

    code = "transport"


class ProtocolError(VenueError):
    """Report bytes that do not follow the venue's protocol."""

    code = "protocol"


class VenueRejected(VenueError):
    """Report a refusal of the venue; `code` is its typed reason, a `venues.faults.Code`."""

    code = "venue_rejected"


class RiskError(OpenMMError):
    """Refuse a command or order that risk does not allow."""

    code = "risk"


class LedgerError(OpenMMError):
    """Report money that does not add up."""

    code = "ledger"


class JournalError(OpenMMError):
    """Report a tape or journal that cannot be read or written."""

    code = "journal"


class TelemetryError(OpenMMError):
    """Report a telemetry page that cannot be read or written."""

    code = "telemetry"


class BoardError(OpenMMError):
    """Report the page where the bots of a host see each other, or what is asked of it."""

    code = "board"


class DataError(OpenMMError):
    """Report a file of market data: `path`, `place` in it, `value` seen, `allowed` values."""

    code = "data"

    def __init__(self, path: object, place: str, value: object, allowed: str) -> None:
        super().__init__(f"{path}: {place}: {allowed}; got {value!r}")
        self.path = path
        self.place = place
        self.value = value
        self.allowed = allowed


class VaultError(OpenMMError):
    """Report a vault, or a private file beside it, that cannot be used as it is."""

    code = "vault"


class CommandError(OpenMMError):
    """Refuse a command that cannot be carried out as asked."""

    code = "command"


class ControlError(OpenMMError):
    """Refuse a call at the door; `hint` says what its caller can do next.

    `retry_after_s`: when it may be asked again; 0: not told.
    """

    code = "control"

    def __init__(
        self, message: str, *, code: str, hint: str = "", retryable: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(message, code=code, retryable=retryable)
        self.hint = hint
        self.retry_after_s = retry_after_s
