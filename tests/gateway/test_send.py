"""Sending: a bad address and a service that is not there are answers, and name no address."""

from __future__ import annotations

import pytest

from openmm.gateway.send import knows, send

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.parametrize("url", ["t0ps3cr3t", "json://127.0.0.1:9/t0ps3cr3t", "slack://t0ps3cr3t"])
def test_what_cannot_be_sent_is_told_without_the_address(url: str) -> None:
    why = send(url, "title", "body", "critical")
    assert why
    assert "t0ps3cr3t" not in why


def test_address_is_known_by_its_service() -> None:
    assert knows("json://127.0.0.1/x")
    assert not knows("t0ps3cr3t")
