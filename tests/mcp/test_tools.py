"""The tools: every action of the door is one, described for a model, with bounds that hold."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from openmm.control.access import LOCAL, Client, Scope
from openmm.control.actions import ACTIONS
from openmm.control.arguments import checked, takes
from openmm.errors import ControlError
from openmm.mcp.tools import ACCESS, TOOLS, access_of, listed, of_action, schema_of
from openmm.mcp.words import WORDS, description, words_of

BY_NAME = pytest.mark.parametrize("name", ACTIONS)


def test_every_action_is_a_tool_with_words_of_its_own() -> None:
    assert set(WORDS) == set(ACTIONS)
    assert {action.name for action in TOOLS.values()} == set(ACTIONS)
    assert all(re.fullmatch(r"[a-z_]{3,32}", tool) for tool in TOOLS)
    assert ACCESS not in TOOLS


@BY_NAME
def test_description_has_an_example_that_fits_the_schema(name: str) -> None:
    action, words = ACTIONS[name], words_of(ACTIONS[name])
    tool = of_action(action)
    text = description(action)
    assert f"Example: {words.tool}({words.example})" in text
    assert len(text) < 1800
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.output_schema is not None
    Draft202012Validator.check_schema(tool.output_schema)
    Draft202012Validator(tool.input_schema).validate(json.loads(words.example))
    given = checked(action, json.loads(words.example))
    assert set(given) == {one.name for one in takes(action)}


@BY_NAME
def test_annotations_tell_what_writes_and_what_takes_away(name: str) -> None:
    action = ACTIONS[name]
    hints = of_action(action).annotations
    assert hints is not None
    assert hints.read_only_hint is not action.writes
    assert not (hints.destructive_hint and not action.writes)
    assert ("preview_token" in of_action(action).input_schema["properties"]) is action.previewed
    if action.writes:
        assert f"scope {action.scope.value}" in description(action)


def test_names_in_texts_are_tools() -> None:
    known = {*TOOLS, ACCESS}
    for words in WORDS.values():
        for text in (words.does, words.refused):
            for named in re.findall(r"\b(?:list|bot|create|start|resume|pause|halt|undo|set|read|"
                                    r"place|order|risk|get|venue)_[a-z_]+", text):  # fmt: skip
                assert named in known, named


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema:
        case {"enum": choices}:
            return st.sampled_from(choices)
        case {"type": "integer"}:
            return st.integers(schema["minimum"], schema["maximum"])
        case {"type": "object"}:
            keys = st.from_regex(schema["propertyNames"]["pattern"], fullmatch=True, alphabet="a.")
            texts = st.text("ab%.01", min_size=1, max_size=9)
            return st.dictionaries(
                keys.filter(lambda x: len(x) <= 80), texts, min_size=1, max_size=4
            )
        case {"pattern": pattern}:
            found = st.from_regex(pattern, fullmatch=True, alphabet="abc-0123456789.")
            return found.filter(lambda x: len(x) <= schema.get("maxLength", 99))
    return st.text("abc XYZ/1", max_size=40)


@BY_NAME
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_door_takes_what_the_schema_allows(name: str, data: st.DataObject) -> None:
    action = ACTIONS[name]
    schema = of_action(action).input_schema
    args = {
        key: data.draw(values(one), label=key)
        for key, one in schema["properties"].items()
        if key not in ("preview_token", "key")
    }
    Draft202012Validator(schema).validate(args)
    # What a schema cannot say: a number above zero, a text that is not blank.
    unsaid = [
        one
        for one in takes(action)
        if (one.kind == "decimal" and not Decimal(args[one.name]))
        or (one.kind == "text" and one.required and not args[one.name].strip())
    ]
    if unsaid:
        with pytest.raises(ControlError, match=r"positive number|not empty"):
            checked(action, args)
    else:
        assert set(checked(action, args)) == {one.name for one in takes(action)}


def test_client_sees_the_tools_it_may_use_and_learns_of_the_others() -> None:
    reader = Client("reader")
    names = [tool.name for tool in listed(reader)]
    assert names[0] == ACCESS
    assert "list_bots" in names
    assert not {"halt_bot", "create_bot", "place_order"} & set(names)
    told = access_of(reader, ["a"])
    assert told["not_granted"]["halt_bot"] == "brake"
    assert "openmm token add" in told["ask_the_operator"]
    brakes = Client("brakes", frozenset({Scope.READ, Scope.BRAKE}))
    assert "halt_bot" in [tool.name for tool in listed(brakes)]
    assert "resume_bot" not in [tool.name for tool in listed(brakes)]
    assert len(listed(LOCAL)) == len(TOOLS) + 1
    assert access_of(LOCAL, [])["not_granted"] == {}


def test_schema_is_found_by_a_tools_name() -> None:
    assert schema_of("nothing") is None
    assert schema_of(ACCESS) == listed(LOCAL)[0].input_schema
    assert "bot" in (schema_of("halt_bot") or {})["properties"]
