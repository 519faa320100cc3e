"""The error tree: each class has a word for machines, and the page for operators lists them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from openmm import errors
from openmm.errors import ConfigError, ConfigErrors, OpenMMError, VenueRejected
from openmm.venues.faults import Code

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text()
WORDS = frozenset(re.findall(r"`([a-z_]+)`", PAGE.split("## Errors")[1].split("\n## ")[0]))


def tree(kind: type[OpenMMError] = OpenMMError) -> list[type[OpenMMError]]:
    """Return a class and all below it."""
    return [kind] + [found for below in kind.__subclasses__() for found in tree(below)]


CLASSES = [kind for kind in tree() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", CLASSES)
def test_class_has_a_code_of_its_own_that_the_page_lists(kind: type[OpenMMError]) -> None:
    assert kind.code in WORDS
    assert "code" in vars(kind) or kind is ConfigErrors
    same = [other for other in CLASSES if other.code == kind.code]
    assert same in ([kind], [ConfigError, ConfigErrors])


def test_code_of_the_one_who_raises_goes_before_the_classes() -> None:
    assert VenueRejected("no").code == "venue_rejected"
    assert VenueRejected("no", code=Code.TOKEN).code == "token"
    assert VenueRejected.code == "venue_rejected"


def given(source: str) -> set[str]:
    """Return the texts given as `code=` of a call, or as the first argument of `output.fail`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        texts = [word.value for word in node.keywords if word.arg == "code"]
        if ast.unparse(node.func) in ("output.fail", "encode_error"):
            texts += node.args[:2]
        found |= {
            t.value for t in texts if isinstance(t, ast.Constant) and isinstance(t.value, str)
        }
    return found


def test_every_code_that_is_raised_stands_on_the_page() -> None:
    # Dialects make the venues' own texts; they raise nothing.
    files = [p for p in (ROOT / "openmm").rglob("*.py") if not p.name.startswith("dialect")]
    raised = set().union(*(given(path.read_text()) for path in files))
    assert {"no_bot", "outcome_unknown", "usage", "bad_request"} <= raised
    assert raised - WORDS == set()
    assert {str(code) for code in Code} - WORDS == set()
