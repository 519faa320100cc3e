"""A file of keys sealed with a passphrase.

One JSON object: `format`, `version`, the parameters of scrypt with their salt, the nonce, the
labels of the keys in plain (so that it can be told what is there without the passphrase), `check`,
and `sealed`: the keys under AES-256-GCM, with everything else of the object authenticated along.
scrypt gives 64 bytes: the first half is the cipher's key; the hash of the second is `check`, so
that a wrong passphrase and a changed file are told apart. Salt and nonce are new at every write.

Source: RFC 7914 (scrypt); NIST SP 800-38D (GCM).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from openmm.config.keys import Keys, check_text
from openmm.config.private import one_writer, read_private, write_private
from openmm.errors import VaultError

FORMAT = "openmm-vault"
VERSION = 1
FILE_BYTES_MAX = 1 << 20
SALT_BYTES, NONCE_BYTES = 16, 12
PASSPHRASE_CHARS_MIN = 8
# Of a file that is read: what it may make this process spend. 128 * n * r bytes are held at once.
N_MIN, N_MAX = 1 << 14, 1 << 20
R_MAX, P_MAX = 32, 16
MEMORY_BYTES_MAX = 1 << 30
LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")


class Costs(Struct, frozen=True):
    """Parameters of scrypt: `n` a power of two; the default takes 128 MiB and tenths of 1 s."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1


USUAL = Costs()


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in plain; authenticated."""

    format: str
    version: int
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    labels: tuple[str, ...]


class _File(_Head, frozen=True, forbid_unknown_fields=True):
    check: str
    sealed: str


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "_Entry(<redacted>)"


def vault_path() -> Path | None:
    """Return where the vault is: OPENMM_VAULT (empty: nowhere), else the user's own place."""
    told = os.environ.get("OPENMM_VAULT")
    if told is not None:
        return Path(told).expanduser() if told else None
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "openmm" / "vault.json"


def seal(
    entries: Mapping[str, Keys], passphrase: str, salt: bytes, nonce: bytes, costs: Costs = USUAL
) -> bytes:
    """Return a vault's file. `salt` and `nonce` must never have been used with the passphrase.

    Raises:
        VaultError: the passphrase is too short, or a label is none.
    """
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise VaultError(
            f"a passphrase has at least {PASSPHRASE_CHARS_MIN} characters", code="vault_passphrase"
        )
    for label in entries:
        check_label(label)
    head = _Head(
        FORMAT, VERSION, costs.n, costs.r, costs.p, salt.hex(), nonce.hex(), tuple(sorted(entries))
    )
    _check_costs(costs)
    cipher_key, check = _derive(passphrase, salt, costs)
    plain = msgspec.json.encode(
        {
            label: _Entry(keys.key, keys.secret, keys.passphrase)
            for label, keys in sorted(entries.items())
        }
    )
    sealed = AESGCM(cipher_key).encrypt(nonce, plain, _plain_part(head))
    whole = msgspec.structs.asdict(head) | {
        "check": check, "sealed": base64.b64encode(sealed).decode()
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def unseal(data: bytes, passphrase: str) -> dict[str, Keys]:
    """Return the keys of a vault's file, by label.

    Raises:
        VaultError: it is no vault or was changed (`vault_damaged`), of another version
            (`vault_version`), or the passphrase is not its own (`vault_passphrase`).
    """
    file = _parse(data)
    costs = Costs(file.n, file.r, file.p)
    _check_costs(costs)
    try:
        salt, nonce = bytes.fromhex(file.salt), bytes.fromhex(file.nonce)
        sealed = base64.b64decode(file.sealed, validate=True)
    except (ValueError, binascii.Error):
        raise _damaged("a field is not readable") from None
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise _damaged("salt or nonce has another length")
    cipher_key, check = _derive(passphrase, salt, costs)
    if not hmac.compare_digest(check.encode(), file.check.encode()):
        raise VaultError(
            "not the passphrase of this vault (or salt or parameters were changed)",
            code="vault_passphrase",
        )
    head = _Head(**{name: getattr(file, name) for name in _Head.__struct_fields__})
    try:
        plain = AESGCM(cipher_key).decrypt(nonce, sealed, _plain_part(head))
        entries = msgspec.json.decode(plain, type=dict[str, _Entry])
    except (InvalidTag, msgspec.MsgspecError):
        raise _damaged("it was changed after it was sealed") from None
    return {
        label: Keys(one.key, one.secret, one.passphrase, source="vault")
        for label, one in entries.items()
    }


def labels_of(data: bytes) -> tuple[str, ...]:
    """Return the labels that stand in a vault's file; needs no passphrase and proves nothing.

    Raises:
        VaultError: it is no vault, or of another version.
    """
    return _parse(data).labels


def check_label(label: str) -> str:
    """Return a label as it is.

    Raises:
        VaultError: it cannot be the label of a venue.
    """
    if not LABEL.fullmatch(label):
        raise VaultError(f"a label is lower case letters, digits, - and _; got {label!r}")
    return label


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels of the vault at a path; none when there is no file.

    Raises:
        VaultError: as of `read_vault`, but for the passphrase.
    """
    return labels_of(_read(path)) if os.path.lexists(path) else ()


def read_vault(path: Path, passphrase: str) -> dict[str, Keys]:
    """Return the keys of the vault at a path.

    Raises:
        VaultError: it is not there, is open to others, was changed, is of another version, or the
            passphrase is not its own.
    """
    return unseal(_read(path), passphrase)


def create_vault(path: Path, passphrase: str, costs: Costs = USUAL) -> None:
    """Write an empty vault.

    Raises:
        VaultError: something is there already (`vault_exists`), or it cannot be written.
    """
    with one_writer(path):
        if os.path.lexists(path):
            raise VaultError(f"there is one already: {path}", code="vault_exists")
        _write(path, {}, passphrase, costs)


def put_keys(path: Path, passphrase: str, label: str, keys: Keys, *, replace: bool = False) -> None:
    """Add keys to a vault.

    Raises:
        VaultError: it has the label already and `replace` is not set; or as of `read_vault`.
        ConfigError: a text that can be no key.
    """
    for name in ("key", "secret", "passphrase"):
        check_text(name, getattr(keys, name))
    if not keys.key or not keys.secret:
        raise VaultError("a key and a secret are both needed")
    check_label(label)
    with one_writer(path):
        data = _read(path)
        entries = unseal(data, passphrase)
        if label in entries and not replace:
            raise VaultError(
                f"the vault has keys of {label} already (--replace writes over them)",
                code="vault_exists",
            )
        _write(path, entries | {label: keys}, passphrase, _costs(data))


def remove_keys(path: Path, passphrase: str, label: str) -> None:
    """Take a label's keys out of a vault.

    Raises:
        VaultError: it has none of that label; or as of `read_vault`.
    """
    with one_writer(path):
        data = _read(path)
        entries = unseal(data, passphrase)
        if label not in entries:
            held = ", ".join(sorted(entries)) or "none"
            raise VaultError(f"the vault has no keys of {label}; it has: {held}", code="no_keys")
        del entries[label]
        _write(path, entries, passphrase, _costs(data))


def change_passphrase(path: Path, passphrase: str, fresh: str, costs: Costs = USUAL) -> None:
    """Seal a vault anew under another passphrase, with today's parameters.

    Raises:
        VaultError: as of `read_vault`, or the new passphrase is too short.
    """
    with one_writer(path):
        _write(path, read_vault(path, passphrase), fresh, costs)


def _read(path: Path) -> bytes:
    return read_private(path, "the vault", FILE_BYTES_MAX)


def _write(path: Path, entries: Mapping[str, Keys], passphrase: str, costs: Costs) -> None:
    data = seal(entries, passphrase, os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES), costs)
    write_private(path, data)


def _costs(data: bytes) -> Costs:
    file = _parse(data)
    return Costs(file.n, file.r, file.p)


def _parse(data: bytes) -> _File:
    """Read the object, nothing secret of it."""
    try:
        loose = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _damaged("it is no JSON object") from None
    if loose.get("format") != FORMAT:
        raise _damaged(f"its format is not {FORMAT}")
    if loose.get("version") != VERSION:
        raise VaultError(
            f"a vault of version {loose.get('version')!r}; this build reads version {VERSION}",
            code="vault_version",
        )
    try:
        return msgspec.convert(loose, type=_File)
    except msgspec.ValidationError as error:
        raise _damaged(str(error)) from None


def _check_costs(costs: Costs) -> None:
    n, r, p = costs.n, costs.r, costs.p
    fits = N_MIN <= n <= N_MAX and n & (n - 1) == 0 and 1 <= r <= R_MAX and 1 <= p <= P_MAX
    if not fits or 128 * n * r > MEMORY_BYTES_MAX:
        raise _damaged(f"parameters of scrypt out of bounds: n={n} r={r} p={p}")


def _derive(passphrase: str, salt: bytes, costs: Costs) -> tuple[bytes, str]:
    """Return the cipher's key and the check of the passphrase."""
    text = unicodedata.normalize("NFC", passphrase).encode()
    made = Scrypt(salt=salt, length=64, n=costs.n, r=costs.r, p=costs.p).derive(text)
    return made[:32], hashlib.sha256(made[32:]).hexdigest()


def _plain_part(head: _Head) -> bytes:
    """Return the bytes that are authenticated beside the sealed ones."""
    return msgspec.json.encode(msgspec.structs.asdict(head), order="deterministic")


def _damaged(why: str) -> VaultError:
    return VaultError(f"the vault is damaged: {why}", code="vault_damaged")
