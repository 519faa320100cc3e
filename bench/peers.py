"""Keep the peers that benches compare with in an environment of their own.

`python -m bench.peers` makes it if it is absent or out of date, and prints its interpreter. The
place is `.cache/peers`, or `OPENMM_PEERS`. Our kernels are imported there from the checkout, so
that both sides of a ratio run in one process.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).with_name("peers.txt")


def peers_dir() -> Path:
    """Return the folder of the environment, made or not."""
    return Path(os.environ.get("OPENMM_PEERS", ROOT / ".cache" / "peers"))


def peers_python() -> Path:
    """Return the interpreter of an environment that holds exactly the pinned peers.

    Raises:
        subprocess.CalledProcessError: a peer does not install.
    """
    folder = peers_dir()
    python = folder / "bin" / "python"
    stamp = folder / "made-from"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making the environment of peers in {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    print(peers_python())
