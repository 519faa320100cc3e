"""`openmm drift`: figures, limits and files; what cannot be compared is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmm.backtest.model import Model, load
from openmm.cli.main import main
from openmm.drift.past import Past
from openmm.journal import read_session, session_record
from tests.drift import live
from tests.rerun.test_shadow import write

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of a session that is its backtest."""
    folder = tmp_path_factory.mktemp("exact")
    write(folder, list(live.synthetic()))
    return folder


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of one that is not."""
    folder = tmp_path_factory.mktemp("drifting")
    write(folder, list(live.queued()))
    return folder


def test_a_session_is_compared_fitted_and_shown(
    exact: Path, tmp_path: Path, capsys: Capture
) -> None:
    model, html = tmp_path / "model.json", tmp_path / "drift.html"
    asked = ["drift", str(exact), "--fit", str(model), "--html", str(html), "--orders", "100"]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert "Every order and every fill came out as it was" in out
    assert "careful" in out
    assert "power 5" in out
    assert "100.00%" in out
    assert load(model).queue == "careful"
    assert "<h1>virtual-" in html.read_text()


def test_only_a_model_is_replaced_by_one(exact: Path, tmp_path: Path, capsys: Capture) -> None:
    other, model = tmp_path / "market.omd", tmp_path / "model.json"
    other.write_bytes(b"OMDATA1\nsomething of value")
    assert main(["drift", str(exact), "--fit", str(other)]) == 2
    assert "--fit: a file that is not there yet, or a model's" in capsys.readouterr().err
    assert other.read_bytes() == b"OMDATA1\nsomething of value"
    assert main(["drift", str(exact), "--fit", str(model), "--html", str(model)]) == 2
    assert "--html: another file than --fit; got" in capsys.readouterr().err
    assert not model.exists()
    Model(queue="power").save(model)
    assert main(["drift", str(exact), "--fit", str(model)]) == 0
    assert load(model).queue == "careful"


def test_limits_decide_the_exit_code(drifting: Path, capsys: Capture) -> None:
    assert main(["drift", str(drifting), "--fills", "100", "--orders", "100", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    # One fill in two dozen came another way, and every order was asked for all the same.
    assert told["failed"] == ["fills"]
    assert told["orders"]["share"] == 1
    assert told["limits"] == {"fills": 100, "orders": 100}
    assert main(["drift", str(drifting), "--fills", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == []


def test_a_models_file_is_what_is_assumed(exact: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "assumed.json"
    Model(queue="power", power=2, orders_ns=(7_000_000,)).save(path)
    assert main(["drift", str(exact), "--model", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["queue"]["queue"], told["queue"]["power"]) == ("power", 2)
    assert told["delays"]["assumed_requests"] == [7_000_000] * 4


def test_a_fit_goes_on_from_the_models_file(exact: Path, tmp_path: Path) -> None:
    path, fitted = tmp_path / "assumed.json", tmp_path / "fitted.json"
    assumed = Model(
        queue="log", orders_ns=(1, 2), orders_from_ns=(5, 6), every_ns=100_000_000, timer_ns=0,
        impact_ns=5_000_000, as_received=True, rate_threshold=77,
    )  # fmt: skip
    assumed.save(path)
    asked = ["drift", str(exact), "--model", str(path), "--fit", str(fitted)]
    assert main(asked) == 0
    found = load(fitted)
    assert (found.every_ns, found.timer_ns, found.impact_ns) == (100_000_000, 0, 5_000_000)
    assert found.as_received
    # What the session tells is the session's.
    told = Past(list(live.synthetic())).rate_threshold
    assert found.rate_threshold == (told or 77)
    assert (found.queue, found.seed, found.orders_from_ns) == ("careful", 1, ())
    assert len(found.orders_ns) > 2
    assert main([*asked, "--each"]) == 0
    found = load(fitted)
    assert (found.impact_ns, found.seed) == (5_000_000, 0)
    assert len(found.orders_from_ns) == len(found.orders_ns) > 2


def test_what_cannot_be_compared_is_said_in_one_line(
    exact: Path, tmp_path: Path, capsys: Capture
) -> None:
    records = list(live.synthetic())
    session = read_session(records[0].payload)
    fields = {name: getattr(session, name) for name in session.__struct_fields__}
    paper, foreign, cut = (tmp_path / name for name in ("paper", "foreign", "cut"))
    as_paper = session_record(type(session)(**{**fields, "mode": "paper"}))
    write(paper, [records[0]._replace(payload=as_paper), *records[1:]])
    config = {**session.config, "unheard_of": {"x": 1}}
    write(foreign, [
        records[0]._replace(payload=session_record(type(session)(**{**fields, "config": config}))),
        *records[1:],
    ])  # fmt: skip
    write(cut, records[:40])
    damaged = tmp_path / "damaged"
    write(damaged, records)
    first = sorted(damaged.iterdir())[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    for folder, told in (
        (paper, "was on paper"), (foreign, "another build"), (cut, "sent no order"),
        (damaged, str(first)),
    ):  # fmt: skip
        assert main(["drift", str(folder)]) == 1
        assert told in capsys.readouterr().err
    for option in ("--fit", "--html"):
        # Before anything is run: the journal is not even looked at.
        assert main(["drift", str(damaged), option, str(tmp_path / "none" / "file")]) == 2
        assert f"{option}: a file in a folder that is there" in capsys.readouterr().err
    for span in ("soon", "-1s"):
        assert main(["drift", str(exact), "--within", span]) == 2
        assert "--within" in capsys.readouterr().err
