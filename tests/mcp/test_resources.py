"""Addresses of looks: what is there, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.control.actions import ACTIONS
from openmm.errors import ControlError
from openmm.mcp.resources import OF_BOTS, TOGETHER, WHOLE, Asked, asked, listed, templates


def test_every_resource_is_a_look_of_the_door_and_none_writes() -> None:
    for action in (*WHOLE, *OF_BOTS, *TOGETHER):
        assert not ACTIONS[action].writes
    assert not any(ACTIONS[action].bot for action in WHOLE)
    assert all(ACTIONS[action].bot for action in OF_BOTS)


def test_what_is_listed_can_be_asked_for() -> None:
    found = [one.uri for one in listed(["btc-grid"])]
    assert len(found) == len(set(found)) == len(WHOLE) + len(TOGETHER) + len(OF_BOTS)
    for uri in found:
        assert asked(uri).bot in ("", "btc-grid")
    for one in templates():
        assert asked(one.uri_template.replace("{bot}", "x")).bot == "x"
    assert asked("openmm://bots/btc-grid/limits") == Asked("limits", "btc-grid")


@pytest.mark.parametrize(
    "uri",
    ["", "openmm://", "openmm://audit", "openmm://bots/x/halt", "openmm://bots/../config",
     "openmm://bots/x/config/", "openmm://bots//config", "http://bots", "openmm://status",
     "openmm://bots/X/config", "openmm://bots/x/config?a=1", "file:///etc/passwd"],
)  # fmt: skip
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(ControlError) as refused:
        asked(uri)
    assert refused.value.code == "unknown_resource"


@given(st.text(max_size=60))
def test_no_address_leads_to_a_write(text: str) -> None:
    try:
        found = asked("openmm://" + text)
    except ControlError:
        return
    assert found.action in (*WHOLE, *OF_BOTS)
