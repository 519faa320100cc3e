"""Fault scripts: what they read as, and one clear error for each thing that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.sim.faults import (
    ASKED,
    CHAOS,
    KINDS,
    SAID,
    chaos,
    load_script,
    parse_rule,
    parse_script,
)
from openmm.venues.kraken.dialect_faults import ACKS

MS = 1_000_000


def test_rule_reads_its_spans_shares_and_places() -> None:
    rule = parse_rule({"kind": "late", "on": "ack.add", "by": "300ms", "every": "20s", "for": "1s"})
    assert (rule.on, rule.by_ns, rule.every_ns, rule.for_ns) == (
        ("ack.add",), 300 * MS, 20_000 * MS, 1000 * MS,
    )  # fmt: skip
    assert rule.count is None
    assert parse_rule({"kind": "lost", "on": "ack"}).on == ACKS
    assert parse_rule({"kind": "lost", "on": ["book", "add"], "chance": "2%"}).chance_ppm == 20_000
    spike = parse_rule({"kind": "spike", "share": "-0.5%", "for": "2s", "at": "10s"})
    assert (spike.share_ppm, spike.at_ns, spike.on) == (-5000, 10_000 * MS, ())
    mode = parse_rule({"kind": "mode", "mode": "cancel_only", "for": "5s"})
    assert mode.mode is SystemMode.CANCEL_ONLY
    assert parse_rule({"kind": "clock", "offset": "-3s", "for": "9s"}).offset_ns == -3000 * MS


def test_rule_without_times_strikes_once_at_the_next_occasion() -> None:
    assert parse_rule({"kind": "checksum"}).count == 1
    assert parse_rule({"kind": "checksum", "at": "5s", "count": 3}).count == 3


@pytest.mark.parametrize(
    ("body", "path", "allowed"),
    [
        ({}, "fault.kind", "one of late, lost"),
        ({"kind": "rain"}, "fault.kind", "one of late, lost"),
        ({"kind": "late", "on": "ack.add"}, "fault.by", "late needs it"),
        ({"kind": "late", "on": "snack", "by": "1s"}, "fault.on", "one or more of"),
        ({"kind": "late", "by": "1s"}, "fault.on", "one or more of"),
        ({"kind": "lost", "on": []}, "fault.on", "one or more of"),
        ({"kind": "lost", "on": 7}, "fault.on", "one or more of"),
        ({"kind": "checksum", "on": "trade"}, "fault.on", "one or more of book"),
        ({"kind": "lost", "on": "book", "by": "1s"}, "fault.by", "for lost: at, chance"),
        ({"kind": "mode", "mode": "lunch", "for": "1s"}, "fault.mode", "one of online"),
        ({"kind": "mode", "mode": "online"}, "fault.for", "mode needs it"),
        ({"kind": "mode", "mode": "online", "for": "1s", "on": "book"}, "fault.on", "for mode:"),
        ({"kind": "lost", "on": "book", "every": "20"}, "fault.every", "a duration with its unit"),
        ({"kind": "lost", "on": "book", "every": "0s"}, "fault.every", "a duration above 0"),
        ({"kind": "lost", "on": "book", "chance": 0.5}, "fault.chance", "a share with its unit"),
        ({"kind": "lost", "on": "book", "chance": "200%"}, "fault.chance", "up to 100%"),
        (
            {"kind": "lost", "on": "book", "chance": "2%", "every": "1s"},
            "fault.chance", "not both",
        ),
        ({"kind": "tokens", "chance": "2%"}, "fault.chance", "for tokens: at or every"),
        ({"kind": "lost", "on": "book", "count": 0}, "fault.count", "a whole number, 1 or more"),
        ({"kind": "lost", "on": "book", "seen": "yes"}, "fault.seen", "true or false"),
        ({"kind": "closed", "on": "add", "when": "then"}, "fault.when", "before or after"),
        ({"kind": "status", "on": "rest", "code": 200}, "fault.code", "400 to 599"),
        ({"kind": "refused", "on": "add", "text": ""}, "fault.text", "error text"),
        ({"kind": "refused", "on": "add"}, "fault.text", "refused needs it"),
        ({"kind": "lie", "amount": 0.5}, "fault.amount", "an exact decimal as text"),
        ({"kind": "spike", "share": "0%", "for": "1s"}, "fault.share", "not 0"),
    ],
)  # fmt: skip
def test_bad_rule_is_one_error_with_key_value_and_what_is_allowed(
    body: dict[str, Any], path: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rule(body)
    assert caught.value.path == path
    assert allowed in str(caught.value)
    seen = body.get(path.rpartition(".")[2])
    assert repr(seen) in str(caught.value) or seen is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fault = 3", "fault: [[fault]] tables; got 3"),
        ("seed = -1", "seed: a whole number, 0 or more; got -1"),
        ("sead = 1", "sead: only seed and [[fault]] tables; got 1"),
        ("[[fault]", "a TOML file"),
        ('[[fault]]\nkind = "checksum"\n[[fault]]\nkind = "x"', "fault[1].kind: one of"),
    ],
)
def test_bad_file_is_one_error(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_script(path)
    assert told in str(caught.value)


def test_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file that can be read"):
        load_script(tmp_path / "none.toml")


def test_example_of_the_page_is_a_script() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    (example,) = [part.split("```")[0] for part in page.split("```toml\n")[1:]]
    script = parse_script(tomllib.loads(example))
    assert [rule.kind for rule in script.rules] == ["late", "lost", "closed", "mode"]


def test_page_names_every_kind_and_place() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
    assert [place for place in (*SAID, *ASKED) if f"`{place}`" not in page] == []


def test_script_keeps_rules_in_order_and_its_seed() -> None:
    script = parse_script({"seed": 5, "fault": [{"kind": "tokens"}, {"kind": "checksum"}]})
    assert ([rule.kind for rule in script.rules], script.seed) == (["tokens", "checksum"], 5)


def test_chaos_knows_every_kind_and_is_drawn_from_its_seed() -> None:
    assert {rule.kind for _, rule in CHAOS} == KINDS.keys()
    assert chaos(3) == chaos(3)
    assert chaos(3) != chaos(4)
    for _, rule in CHAOS:
        assert set(rule.on) <= KINDS[rule.kind].on
