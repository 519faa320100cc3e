"""`openmm data`: from a recording to a checked folder, and what each exit code says."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.data.events import Events
from openmm.data.store import write
from tests.data.made import events_of, small

Capture = pytest.CaptureFixture[str]
FILES = ("v2_btcusd_d10_20260801.cbcap.gz", "v2_btcusd_d25_20260802.cbcap.gz")


def told(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def test_recordings_are_converted_listed_and_checked(
    shared: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "market"
    files = [str(shared / "data" / "kraken" / name) for name in FILES]
    assert main(["data", "convert", *files, "--out", str(out), "--json"]) == 0
    made = told(capsys)["files"]
    assert [one["verdict"] for one in made] == ["doubtful", "doubtful"]  # books alone
    assert [one["market"] for one in made] == ["kraken BTC/USD"] * 2
    assert main(["data", "list", str(out), "--json"]) == 0
    listed = told(capsys)
    assert [one["verdict"] for one in listed["files"]] == ["doubtful", "doubtful"]
    assert len(listed["series"]) == 2  # a day lies between them
    assert sum(one["events"] for one in listed["series"]) == sum(one["events"] for one in made)
    paths = sorted(str(path) for path in out.iterdir())
    assert main(["data", "check", *paths, "--json"]) == 0
    checked = told(capsys)
    assert [one["crossed"] for one in checked["files"]] == [0, 0]
    assert main(["data", "list", str(out)]) == 0
    text = capsys.readouterr().out
    assert "kraken BTC/USD" in text
    assert "2026-08-01 02:53:53" in text
    assert main(["data", "check", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line.split() for line in lines if line.startswith("gaps")) == ["gaps", "0", "0"]
    assert lines[-3].split() == ["verdict", "doubtful", "doubtful"]
    assert all("no trades: orders would be filled by the book" in one for one in lines[-2:])


def test_check_fails_on_what_is_broken_and_tells_every_file(
    tmp_path: Path, capsys: Capture
) -> None:
    """A gap, a file that was changed, and one that is none; the good one is told as well."""
    good, gap, changed, other = (tmp_path / f"{name}.omd" for name in ("a", "b", "c", "d"))
    events = small()
    write(good, whole(events))
    write(gap, events)
    write(changed, whole(events))
    data = bytearray(changed.read_bytes())
    place = 4096 + 64
    data[place] ^= 1  # a venue time, which no rule binds
    changed.write_bytes(bytes(data))
    other.write_bytes(b"something else")
    assert main(["data", "check", str(good)]) == 0
    capsys.readouterr()
    files = [str(one) for one in (good, gap, changed, other)]
    assert main(["data", "check", *files, "--json"]) == 1
    found = told(capsys)
    assert [one["verdict"] for one in found["files"]] == ["good", "broken"]
    assert len(found["refused"]) == 2
    assert "columns: bytes of digest" in found["refused"][0]
    assert "byte 0: the magic" in found["refused"][1]
    assert main(["data", "check", *files]) == 1
    text = capsys.readouterr().out
    assert "b.omd: continuity lost 1 times" in text
    assert str(other) in text


def whole(events: Events) -> Events:
    rows = zip(
        events.recv_ns[:8].tolist(), events.venue_ns[:8].tolist(),
        events.price_ticks[:8].tolist(), events.qty_lots[:8].tolist(),
        (events.flags[:8] & 0xBF).tolist(), strict=True,
    )  # fmt: skip
    return events_of(list(rows), events.market)


def test_check_holds_clocks_of_one_time_against_each_other(tmp_path: Path, capsys: Capture) -> None:
    events = whole(small())
    times = events.recv_ns[0] + (events.recv_ns - events.recv_ns[0]) * 10**8  # three seconds
    events = replace(events, recv_ns=times, venue_ns=times)
    paths = []
    for name, early_ns in (("kraken", 0), ("coinbase", 50_000_000), ("mexc", 10**15)):
        market = replace(events.market, venue=name)
        paths.append(str(tmp_path / f"{name}.omd"))
        write(Path(paths[-1]), replace(events, market=market, recv_ns=events.recv_ns - early_ns))
    assert main(["data", "check", *paths, "--json"]) == 0
    (text,) = told(capsys)["clocks"]
    assert text.startswith("clocks: from the venue's time to receipt it took at the least coinbase")
    assert "mexc" not in text  # recorded at another time
    assert main(["data", "check", *paths]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == text
    assert main(["data", "check", paths[0], "--json"]) == 0
    assert told(capsys)["clocks"] == []


def test_limits_of_the_check_are_options(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.omd"
    rows = [(10**18 + at, 10**18, 5, 1, 2 | 32) for at in (0, 3 * 10**9)]
    write(path, events_of(rows))
    for options, names in (
        ([], {"clock_jumps", "whole_share"}),
        (["--silence", "2s"], {"clock_jumps", "silences", "whole_share"}),
        (["--jump", "4s"], {"whole_share"}),  # of trades alone
    ):
        assert main(["data", "check", str(path), *options, "--json"]) == 0
        (one,) = told(capsys)["files"]
        assert {problem["name"] for problem in one["problems"]} == names
    assert main(["data", "check", str(path), "--silence", "2"]) == 2


def test_events_go_out_and_come_back(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.omd"
    write(path, whole(small()))
    arrays = tmp_path / "arrays"
    assert main(["data", "export", str(path), "--format", "npz", "--out", str(arrays)]) == 0
    assert "0.000 ms" in capsys.readouterr().out
    file, back = str(arrays / "a.npz"), str(tmp_path / "back")
    assert main(["data", "import", file, "--out", back, "--venue", "kraken"]) == 2
    assert "--pair" in capsys.readouterr().err
    market = ["--venue", "kraken", "--pair", "BTC/USD", "--tick", "0.1", "--lot", "0.0001"]
    assert main(["data", "import", file, "--out", back, *market, "--json"]) == 0
    (one,) = told(capsys)["files"]
    assert (one["events"], one["market"], one["verdict"]) == (8, "kraken BTC/USD", "good")
    assert main(["data", "export", str(path), "--out", str(tmp_path / "rows"), "--json"]) == 0
    (one,) = told(capsys)["files"]
    assert Path(one["file"]).name == "a.parquet"


def test_folder_that_is_not_there_or_holds_nothing(tmp_path: Path, capsys: Capture) -> None:
    assert main(["data", "list", str(tmp_path / "none")]) == 2
    capsys.readouterr()
    assert main(["data", "list", str(tmp_path)]) == 0
    assert "no .omd file there" in capsys.readouterr().out
    (tmp_path / "a.omd").write_bytes(b"x")
    assert main(["data", "list", str(tmp_path)]) == 1
    assert "the magic" in capsys.readouterr().out


def test_a_name_that_is_no_text_is_refused_where_it_would_be_written(
    tmp_path: Path, capsys: Capture
) -> None:
    name = str(tmp_path / "a\udcff.omd")
    write(Path(name), whole(small()))
    for command in (["convert"], ["import"], ["export"], ["export", "--format", "npz"]):
        assert main(["data", *command, name, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert f"files: a path in UTF-8; got '{tmp_path}/a\\\\udcff.omd'" in error
    assert not (tmp_path / "out").exists()


def test_what_is_cut_is_told_with_its_name_and_not_as_aborted(
    tmp_path: Path, capsys: Capture
) -> None:
    rows = tmp_path / "a.csv.gz"
    rows.write_bytes(gzip.compress(b"exchange,symbol,timestamp,local_timestamp\n" * 9)[:30])
    log = tmp_path / "a.json.gz"
    log.write_bytes(gzip.compress(b"{}" * 99)[:-9])
    for text, path in ((str(rows), rows), (f"gateio:{log}", log)):
        assert main(["data", "convert", text, "--out", str(tmp_path / "out")]) == 1
        assert f"{path}: cut or damaged: Compressed file ended" in capsys.readouterr().err


def test_a_name_in_a_header_stays_in_its_line(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.omd"
    write(path, whole(small()))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"kraken"', b'"k\\nken"', 1))
    for command in ("list", "check"):
        place = tmp_path if command == "list" else path
        assert main(["data", command, str(place)]) == 1
        told = [line for line in capsys.readouterr().out.splitlines() if "ken" in line]
        assert told == [f"{path}: header, venue: printable characters; got 'k\\nken'"]
