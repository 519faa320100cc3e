"""Shared fixtures: where the recorded data lies, how hard properties are tried, suite times."""

from __future__ import annotations

import gc
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Server, find_binaries

ROOT = Path(__file__).resolve().parent.parent

# The suite tries the same inputs every time; a soak draws new ones and prints how to repeat.
settings.register_profile(
    "suite",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "soak",
    max_examples=5_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# The vault of whoever runs the tests is none of theirs, nor are their account locks and board: bots
# that a test kills leave rows on it. The folder goes with this process.
os.environ["OPENMM_VAULT"] = ""
APART = tempfile.TemporaryDirectory(prefix="openmm-tests-")
os.environ["XDG_RUNTIME_DIR"] = APART.name

settings.load_profile("soak" if os.environ.get("OPENMM_SOAK") == "1" else "suite")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded data; skip without it, fail if it is required."""
    path = Path(os.environ.get("OPENMM_SHARED", ROOT.parent / "shared"))
    if (path / "data").is_dir() and (path / "venues" / "samples").is_dir():
        return path
    reason = f"recorded data is absent: {path}"
    if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a PostgreSQL server of this test run's own; skip without one, fail if required."""
    binaries = find_binaries()
    if binaries is None:
        reason = "no PostgreSQL server is installed: apt-get install postgresql"
        if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    server = Server(binaries)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Return what gives the address of an empty database, the same for the same name."""
    known: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("store")

    def address(name: str = "store") -> str:
        if name not in known:
            if request.param == "sqlite":
                known[name] = f"sqlite:///{folder / name}.sqlite"
            else:
                known[name] = request.getfixturevalue("postgres").make_database()
        return known[name]

    return address


def pytest_runtest_logfinish() -> None:
    """Collect what engines leave: a process of its own does without, and has its heap for life."""
    gc.enable()
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the time spent in each folder of tests."""
    spent: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent["/".join(report.nodeid.split("::")[0].split("/")[:2])] += report.duration
    if len(spent) > 1:
        terminalreporter.section("time by suite")
        for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{seconds:8.1f} s  {name}")
