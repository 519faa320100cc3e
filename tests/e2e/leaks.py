"""Search everything a bot leaves behind for secrets, in the forms they could take on the way."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def forms(secret: str) -> dict[str, bytes]:
    """Return how a secret may be written: plain, base64 at any offset, hex, for a URL, in JSON."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "url-plus": quote_plus(secret).encode(),
        "json": secret.replace("/", "\\/").encode(),
        "utf-16": secret.encode("utf-16-le"),
        "reversed": raw[::-1],
    }
    for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
        for offset in range(3):
            # Within a longer text the first and last characters depend on what stands beside.
            whole = encode(b"\0" * offset + raw).rstrip(b"=")
            found[f"{name}+{offset}"] = whole[(offset * 4 + 2) // 3 : len(whole) - 1]
    try:
        # A secret that is base64 itself: its bytes are as good as its text.
        inner = base64.b64decode(secret, validate=True)
    except binascii.Error:
        return found
    if len(inner) >= 16:
        found |= {"bytes": inner, "bytes-hex": inner.hex().encode()}
    return found


def find(data: bytes, secrets: Mapping[str, str], where: str) -> list[str]:
    """Return `where: name (form)` for each secret in some bytes."""
    return [
        f"{where}: {name} ({form})"
        for name, secret in secrets.items()
        for form, needle in forms(secret).items()
        if needle in data
    ]


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give a file's bytes, and what is compressed in them."""
    data = path.read_bytes()
    yield "", data
    at = data.find(ZSTD_MAGIC)
    while at >= 0:
        try:
            with zstandard.ZstdDecompressor().stream_reader(
                io.BytesIO(data[at:]), read_across_frames=True
            ) as reader:
                yield f" (zstd at {at})", reader.read()
        except zstandard.ZstdError:
            yield f" (no zstd at {at})", b""
        at = data.find(ZSTD_MAGIC, at + 4)


def search(folder: Path, secrets: Mapping[str, str], *, but: frozenset[Path]) -> list[str]:
    """Search every file below a folder, but for those that hold a secret on purpose."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p not in but):
        for part, data in contents(path):
            found += find(data, secrets, f"{path.relative_to(folder)}{part}")
    return found


def processes_below(pid: int) -> list[int]:
    """Return a process and all that it started, as they stand now."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # it ended meanwhile
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def search_processes(
    pids: list[int], secrets: Mapping[str, str], *, env_of: frozenset[int]
) -> list[str]:
    """Search the arguments of processes, and the environment of those in `env_of`."""
    found = []
    for pid in pids:
        names = ["cmdline", *(["environ"] if pid in env_of else [])]
        for name in names:
            try:
                data = Path(f"/proc/{pid}/{name}").read_bytes()
            except PermissionError:
                continue  # nobody but root can read it: the better for it
            found += find(data, secrets, f"process {pid} {name}")
    return found
