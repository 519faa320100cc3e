"""A mapped file that is cut short under its reader ends a command with a word, not without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from openmm.data import store
from openmm.data.cut import say_when_cut
from tests.backtest.outcomes import market

CODE = """
import os, sys
import numpy as np
from openmm.cli.output import maps_files
from openmm.data import store
maps_files(sys.argv[2] == "json")
events = store.load(sys.argv[1], whole=False).events
os.truncate(sys.argv[1], 4096)
print(int(np.asarray(events.qty_lots).sum()))
"""


@pytest.mark.parametrize("how", ["text", "json"])
def test_a_file_that_is_cut_while_it_is_read_is_told_in_one_line(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.omd"
    store.write(path, market(seconds=30))
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), how], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    told = json.loads(line)["error"] if how == "json" else {"code": "data", "message": line[8:]}
    assert told["code"] == "data"
    assert told["message"].startswith("a data file was cut short while it was read: ")


def test_a_line_that_does_not_fit_is_refused() -> None:
    for line in (b"", b"x" * 1025):
        with pytest.raises(ValueError, match="1 to 1024 bytes"):
            say_when_cut(line, 1)
