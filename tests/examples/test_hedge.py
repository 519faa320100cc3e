"""The example that quotes on one venue and hedges on another ends hedged and proven."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_example_hedges_every_fill_on_the_other_venue(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "hedge.py")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.fullmatch(
        r"(\d+) fills, (\S+) BTC hedged, (\S+) BTC unhedged, (\S+) USD\n", done.stdout
    )
    assert told is not None, done.stdout
    assert int(told[1]) >= 1
    assert Decimal(told[2]) > 0
    assert abs(Decimal(told[3])) < Decimal("0.00005")  # the hedge venue's least order
    assert "no more quotes: killed" in done.stderr
