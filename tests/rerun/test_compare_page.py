"""The page of a comparison: whole in itself, its fill model above its figures."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from openmm.cli.main import main
from openmm.rerun.compare import causes_of, compare, rounded
from openmm.rerun.compare_page import page
from openmm.rerun.engine import FILL_MODEL
from openmm.rerun.streams import synthetic
from tests.rerun.made import bot

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml"


def test_the_page_draws_each_bot_and_lets_nothing_in() -> None:
    config = bot()
    other = config.model_copy(
        update={"bot": config.bot.model_copy(update={"name": "<wide>"})}
    )  # fmt: skip
    found = compare([config, other], [synthetic("thin", 1, 30)])
    made = page(found)
    assert escape(FILL_MODEL) in made
    assert made.index(escape(FILL_MODEL)) < made.index("<table")
    assert "<wide>" not in made
    assert made.count('class="line bot0"') == made.count('class="line bot1"') == 2
    (style,) = re.findall(r"<style>(.*?)</style>", made, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" in made
    for drawn in re.findall(r'<svg class="plot.*?</svg>(?!</svg>)', made, re.DOTALL):
        ElementTree.fromstring(drawn)
    causes = dict(causes_of(found[0].report))
    for name, value in causes.items():
        assert f"{rounded(-value if name == 'fees' else value)} USD" in made
    # Fees are what was paid.
    split = found[0].report.by_cause
    assert split is not None
    assert causes["fees"] == split.total.fees
    assert causes["spread"] + causes["adverse"] + causes["drift"] - causes["fees"] == causes["net"]


def test_the_command_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "compare.html"
    arguments = ["compare", str(EXAMPLE), "--regime", "thin", "--seconds", "10"]
    assert main([*arguments, "--html", str(out)]) == 0
    assert out.read_text().startswith("<!doctype html>")
    assert main([*arguments, "--html", str(tmp_path / "none" / "x.html")]) == 2
