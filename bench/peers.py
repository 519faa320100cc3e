"""Keep the peers that benches compare with in environments of their own.

`python -m bench.peers [peers | replay_peers]` makes one if it is absent or out of date, and prints
its interpreter. The places are `.cache/peers` and `.cache/replay_peers`, or `OPENMM_PEERS` and
`OPENMM_REPLAY_PEERS`. Into the first our kernels are imported from the checkout, so that both sides
of a ratio run in one process; the second holds what wants another numpy than we do, and answers a
process of ours (`bench.peer_replay`).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
WHOLE = frozenset({"replay_peers"})  # lists that name every package, dependencies too


def peers_dir(name: str = "peers") -> Path:
    """Return the folder of an environment, made or not."""
    return Path(os.environ.get(f"OPENMM_{name.upper()}", ROOT / ".cache" / name))


def peers_python(name: str = "peers") -> Path:
    """Return the interpreter of an environment that holds exactly the pinned peers.

    Args:
        name: of the list of requirements beside this file.

    Raises:
        subprocess.CalledProcessError: a peer does not install.
    """
    folder = peers_dir(name)
    requirements = HERE / f"{name}.txt"
    python = folder / "bin" / "python"
    stamp = folder / "made-from"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making the environment of peers in {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    alone = ["--no-deps"] if name in WHOLE else []
    subprocess.run([*install, *alone, "-r", str(requirements)], check=True)
    stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    print(peers_python(*sys.argv[1:2]))
