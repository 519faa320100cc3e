"""What is written down of a configuration opens no door."""

from __future__ import annotations

import json

from openmm.config import parse
from openmm.config.redact import public
from tests.config.test_config import BASE


def test_public_configuration_holds_no_password_and_reads_as_one() -> None:
    store = "postgresql+psycopg://ann:hush@db/mm"
    webhook = "https://hooks.example.com/T0/hush"
    data = BASE | {
        "settlement": {"store": store}, "risk": BASE["risk"] | {"webhook": webhook},
    }  # fmt: skip
    config = parse(data)
    assert (config.settlement.store, config.risk.webhook) == (store, webhook)
    plain = public(config)
    assert "hush" not in json.dumps(plain)
    assert plain["settlement"]["store"] == "postgresql+psycopg://ann@db/mm"
    assert plain["risk"]["webhook"] == "https://hooks.example.com"
