"""A venue of an installed package plugs in by its entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from openmm.config.schema import Venue
from openmm.errors import ConfigError
from openmm.venues import connect, names, registry

PACKAGE = """
from openmm.venues.entry import Entry
from openmm.venues.kraken.entry import ENTRY as KRAKEN

ENTRY = Entry("elsewhere", KRAKEN.capabilities, KRAKEN.connector, KRAKEN.venue, KRAKEN.verify)
NOT_ONE = "something else"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a tiny package beside this one, as an installer does."""
    (tmp_path / "elsewhere_venue.py").write_text(PACKAGE)
    info = tmp_path / "elsewhere_venue-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere-venue\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[openmm.venues]\nelsewhere = elsewhere_venue:ENTRY\nbroken = elsewhere_venue:NOT_ONE\n"
        "absent = no_such_module:ENTRY\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "elsewhere_venue", raising=False)


@pytest.mark.usefixtures("installed")
def test_installed_venue_is_known_everywhere() -> None:
    assert "elsewhere" in names()
    assert registry.get("elsewhere").name == "elsewhere"
    config = Venue(name="elsewhere", reference="BTC/USD")
    assert registry.connector(config, None).public_url
    assert connect("elsewhere", options={}).capabilities.amend


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["broken", "absent"])
def test_what_is_no_venue_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.get(name)
    assert caught.value.value == name
    assert "to be" in str(caught.value)


def test_name_nobody_knows_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="kraken"):
        connect("elsewhere")
