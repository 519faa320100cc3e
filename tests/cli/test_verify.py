"""`openmm verify` over the recorded captures: every checksum, one object, clear refusals."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from openmm.cli.main import main

Capture = pytest.CaptureFixture[str]
CAPTURES = {
    "v2_btcusd_d10_20260801.cbcap.gz": 301,
    "v2_btcusd_d25_20260802.cbcap.gz": 2052,
    "v2_xrpusd_d25_20260802.cbcap.gz": 1147,
}


def test_captures_verify_as_one_object(shared: Path, capsys: Capture) -> None:
    files = [str(shared / "data" / "kraken" / name) for name in CAPTURES]
    assert main(["verify", "--venue", "kraken", "--json", *files]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["checksums_ok"] == sum(CAPTURES.values())
    for key in ("checksums_failed", "gaps", "crossed", "errors"):
        assert body[key] == 0
    assert [one["checksums_ok"] for one in body["files"]] == list(CAPTURES.values())
    assert [Path(one["file"]).name for one in body["files"]] == list(CAPTURES)
    assert body["messages"] >= body["book_updates"] > 0


def test_capture_as_text_is_a_table_with_totals(shared: Path, capsys: Capture) -> None:
    files = [str(shared / "data" / "kraken" / name) for name in CAPTURES]
    assert main(["verify", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [*CAPTURES, "total"]
    row = next(line.split() for line in lines if line.startswith("checksums_ok"))
    assert row[1:] == ["301", "2,052", "1,147", "3,500"]


def test_damaged_capture_is_an_exit_code_1(shared: Path, tmp_path: Path, capsys: Capture) -> None:
    """Change one digit of a quantity: a checksum fails, and it is told."""
    name = "v2_btcusd_d10_20260801.cbcap.gz"
    raw = gzip.decompress((shared / "data" / "kraken" / name).read_bytes())
    at = raw.index(b'"qty":', raw.index(b'"type":"update"')) + 6
    digit = next(i for i in range(at, at + 20) if raw[i : i + 1] in b"123456789")
    other = b"1" if raw[digit : digit + 1] != b"1" else b"2"
    file = tmp_path / name
    file.write_bytes(gzip.compress(raw[:digit] + other + raw[digit + 1 :]))
    assert main(["verify", "--json", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["checksums_failed"] > 0


def test_capture_cut_in_the_middle_is_one_clear_error(
    shared: Path, tmp_path: Path, capsys: Capture
) -> None:
    name = "v2_btcusd_d10_20260801.cbcap.gz"
    raw = (shared / "data" / "kraken" / name).read_bytes()
    file = tmp_path / name
    file.write_bytes(raw[: len(raw) // 2])
    assert main(["verify", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(file) in captured.err


@pytest.mark.parametrize(
    ("args", "told"),
    [(["--venue", "mtgox", "x"], "kraken"), (["none.cbcap"], "a file that is there")],
)
def test_bad_argument_is_bad_usage(args: list[str], told: str, capsys: Capture) -> None:
    assert main(["verify", *args]) == 2
    assert told in capsys.readouterr().err
