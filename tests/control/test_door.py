"""The door against a real running bot: what it lets in, what it refuses, what the audit says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmm.control.access import LOCAL, Client
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.errors import ControlError
from tests.control.running import running_bot


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running_bot(tmp_path_factory.mktemp("door")) as found:
        yield found


def test_pause_reaches_the_bot_and_the_audit_has_both_its_lines(home: Home) -> None:
    door = Door(home)
    assert door.call(LOCAL, "pause", {"bot": "btc-grid"}, surface="test")["risk_state"] == "PAUSED"
    assert door.call(LOCAL, "status", {"bot": "btc-grid"}, surface="test")["running"]
    verdicts = [(one["action"], one["verdict"]) for one in Audit(home.audit).newest()]
    assert verdicts[:3] == [("status", "done"), ("pause", "done"), ("pause", "asked")]


def test_without_the_scope_it_is_refused_and_recorded(home: Home) -> None:
    with pytest.raises(ControlError, match="needs the scope brake") as caught:
        Door(home).call(Client("ann"), "halt", {"bot": "btc-grid"}, surface="test")
    assert caught.value.code == "forbidden"
    assert next(Audit(home.audit).newest())["verdict"].startswith("refused: forbidden")
