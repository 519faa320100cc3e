"""Each rule catches what it is for, and lets the good form pass."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.tidy import rules, tree

KERNELS = ["openmm._fast.units", "openmm._fast.book", "openmm._fast.pipeline"]


def caught(offences: Iterable[str]) -> bool:
    return bool(list(offences))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("openmm/errors.py", "from openmm.events import Fee"),
        ("openmm/clock.py", "import openmm.units"),
        ("openmm/events.py", "from openmm import config"),
        ("openmm/signal/flow.py", "from openmm.strategy.grid import Grid"),
        ("openmm/venues/kraken/wire.py", "from openmm.venues.gateio import spec"),
        ("openmm/venues/kraken/wire.py", "from openmm.venues import gateio"),
        ("openmm/venues/kraken/dialect.py", "from openmm.sim.core import Core"),
        ("openmm/sim/core.py", "from openmm.engine import step"),
        ("openmm/engine/step.py", "from ..control import door"),
        ("openmm/engine/step.py", "def f():\n    from openmm.control import door"),
        ("openmm/gateway/app.py", "from openmm.cli import main"),
        ("openmm/mcp/server.py", "from openmm.gateway import app"),
        ("openmm/dashboard/pages.py", "from openmm.mcp import server"),
        ("openmm/_fast/book.pyx", "from openmm._fast.pipeline cimport Pipeline"),
        ("openmm/_fast/book.pxd", "from openmm.events import Fee"),
        ("openmm/strategy/grid.pyx", "cimport openmm.risk.gate"),
    ],
)
def test_import_against_the_table_is_caught(path: str, source: str) -> None:
    assert caught(rules.imports_one_way(Path(path), source, KERNELS))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("openmm/events.py", "from openmm.errors import OpenMMError"),
        ("openmm/config.py", "from openmm import clock, units"),
        ("openmm/venues/kraken/wire.pyx", "from openmm._fast.book cimport Book"),
        ("openmm/venues/kraken/rest.py", "from openmm.venues.base import Venue"),
        ("openmm/venues/kraken/rest.py", "from openmm.venues.kraken import auth"),
        ("openmm/venues/registry.py", "from openmm.venues import kraken"),
        ("openmm/engine/wiring.py", "from openmm.sim.core import Core"),
        ("openmm/_fast/pipeline.pyx", "from openmm._fast.book cimport Book"),
        (
            "openmm/_fast/book.pyx",
            "from libc.stdint cimport int64_t\n# from openmm.cli import main",
        ),
    ],
)
def test_import_down_the_table_passes(path: str, source: str) -> None:
    assert not caught(rules.imports_one_way(Path(path), source, KERNELS))


def test_module_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="in no layer"):
        rules.layer_of("openmm.somewhere")


def test_import_of_tests_by_the_package_is_caught() -> None:
    path = Path("openmm/engine/step.py")
    assert caught(rules.imports_of_tests(path, "from tests.oracles import book"))
    assert caught(rules.imports_of_tests(path, "import bench"))
    assert not caught(rules.imports_of_tests(path, "from openmm.testing import gates"))


def test_foreign_imports_are_found() -> None:
    source = (
        "import os\nimport aiohttp.web\nfrom openmm import clock\ndef f(): from rich import live"
    )
    assert rules.imports_foreign(Path("openmm/a.py"), source) == {"aiohttp", "rich"}
    source = "from picows.picows cimport WSFrame\nfrom libc.math cimport exp\ncimport numpy"
    assert rules.imports_foreign(Path("openmm/a.pyx"), source) == {"picows", "numpy"}


def test_import_inside_a_function_is_caught_below_the_surfaces() -> None:
    source = "def f():\n    import numpy"
    assert caught(rules.imports_at_top(Path("openmm/engine/step.py"), source))
    assert not caught(rules.imports_at_top(Path("openmm/cli/main.py"), source))


@pytest.mark.parametrize("line", ["from os import *", "from libc.math cimport *"])
def test_star_import_is_caught(line: str) -> None:
    assert caught(rules.no_star_imports(Path("openmm/a.pyx"), line))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("openmm/risk/gate.py", "import time\nt = time.time_ns()"),
        ("openmm/risk/gate.py", "from time import monotonic"),
        ("openmm/settlement/ledger.py", "import datetime\nd = datetime.datetime.now(datetime.UTC)"),
        ("openmm/execution/ids.py", "import uuid\nu = uuid.uuid4()"),
        ("openmm/execution/ids.py", "import os\nu = os.urandom(8)"),
        ("openmm/sim/market.py", "import random\nx = random.random()"),
        ("openmm/sim/market.py", "import random\nx = random.Random()"),
        ("openmm/sim/market.py", "import numpy as np\nx = np.random.default_rng()"),
        ("openmm/engine/step.py", "import secrets\nx = secrets.token_bytes(3)"),
        ("openmm/_fast/book.pyx", "cdef f():\n    t = utc_ns()"),
        ("openmm/_fast/checks.pyx", "    clock_gettime(CLOCK_REALTIME, &ts)"),
    ],
)
def test_clock_or_chance_below_the_loop_is_caught(path: str, source: str) -> None:
    assert caught(rules.no_clock(Path(path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("openmm/engine/loop.py", "import time\nt = time.time_ns()"),
        ("openmm/_fast/feed.pyx", "    t = utc_ns()"),
        ("openmm/sim/market.py", "import random\nx = random.Random(7)"),
        ("openmm/cli/main.py", "import time\nt = time.time_ns()"),
        ("openmm/engine/step.py", "t = clock.now_ns()"),
        ("openmm/_fast/book.pyx", "# utc_ns() is not called here"),
    ],
)
def test_clock_where_it_belongs_passes(path: str, source: str) -> None:
    assert not caught(rules.no_clock(Path(path), source))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:\n    g()",
        "try:\n    f()\nexcept:\n    g()",
        "try:\n    f()\nexcept (ValueError, BaseException):\n    g()",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_catching_everything_is_caught(source: str) -> None:
    assert caught(rules.no_broad_except(Path("openmm/engine/step.py"), source))
    assert not caught(rules.no_broad_except(Path("openmm/engine/loop.py"), source))


def test_catching_everything_in_a_kernel_is_caught() -> None:
    path = Path("openmm/_fast/book.pyx")
    assert caught(rules.no_broad_except_pyx(path, "    except Exception as error:\n"))
    assert caught(rules.no_broad_except_pyx(path, "    except:\n"))
    assert not caught(rules.no_broad_except_pyx(path, "    except ValueError:\n"))


def test_cpdef_method_is_caught_unless_it_overrides_a_callback() -> None:
    path = Path("openmm/_fast/feed.pyx")
    callbacks = frozenset({"on_ws_frame"})
    assert caught(rules.no_cpdef(path, "    cpdef int best(self):\n", callbacks))
    assert not caught(
        rules.no_cpdef(path, "    cpdef on_ws_frame(self, WSTransport t):\n", callbacks)
    )
    assert not caught(rules.no_cpdef(path, "cpdef enum Side:\n", callbacks))
    assert not caught(rules.no_cpdef(path, "# cpdef int best(self)\n", callbacks))


@pytest.mark.parametrize(
    "source",
    [
        "# cython: boundscheck=False\n",
        "#cython:language_level=3\n",
        "# distutils: language = c++\n",
        "@cython.boundscheck(False)\ndef f(): pass\n",
        "    with cython.boundscheck(False):\n        pass\n",
    ],
)
def test_directive_in_a_source_is_caught(source: str) -> None:
    assert caught(rules.no_directives(Path("openmm/_fast/book.pyx"), source))


def test_class_that_is_not_final_is_caught_outside_ports() -> None:
    source = "cdef class Book:\n    pass\n"
    final = "@cython.final\ncdef class Book:\n    pass\n"
    path = Path("openmm/_fast/book.pyx")
    assert caught(rules.classes_final(path, source, source))
    assert not caught(rules.classes_final(Path("openmm/_fast/ports.pyx"), source, source))
    assert not caught(rules.classes_final(path, final, source))
    assert not caught(rules.classes_final(path, source, final))


def test_division_without_a_name_is_caught() -> None:
    path = Path("openmm/_fast/book.pyx")
    assert caught(rules.divisions_named(path, "x = a // b\n"))
    assert not caught(rules.divisions_named(path, "x = a // b  # never negative\n"))
    assert not caught(rules.divisions_named(path, "cdef f(uint64_t a):\n    return a // 2\n"))
    after = "cdef f(uint64_t a):\n    pass\ncdef g(int64_t a):\n    return a // 2\n"
    assert caught(rules.divisions_named(path, after))
    assert not caught(rules.divisions_named(path, "x = 1  # a // b\n"))
    assert not caught(rules.divisions_named(path, "x = UTICKS // 2\n"))
    assert not caught(rules.divisions_named(Path("openmm/_fast/units.pyx"), "x = a // b\n"))


@pytest.mark.parametrize("mark", ["TO" + "DO", "FIX" + "ME", "XX" + "X", "TB" + "D"])
def test_unfinished_work_is_caught(mark: str) -> None:
    assert caught(rules.no_unfinished(Path("openmm/a.py"), f"x = 1  # {mark}: later"))


@pytest.mark.parametrize(
    "line",
    [
        'open("/wo' + 'rk/shared/x")',
        "cd /ro" + "ot",
        "see /tm" + "p/x",
        "https://py" + "pi.org/simple",
        "files.python" + "hosted.org",
    ],
)
def test_machine_path_or_registry_host_is_caught(line: str) -> None:
    assert caught(rules.no_machine(Path("docs/a.md"), line))


@pytest.mark.parametrize(
    "line", ["$HO" + "ME/x", "a/wo" + "rk/b", "{root}/tm" + "p", "docs/ro" + "ot.md"]
)
def test_relative_path_is_no_machine_path(line: str) -> None:
    assert not caught(rules.no_machine(Path("docs/a.md"), line))


@pytest.mark.parametrize(
    "path",
    ["openmm/venues/utils.py", "openmm/common/a.py", "tests/test_helpers.py", "openmm/exchange.py"],
)
def test_name_that_says_nothing_is_caught(path: str) -> None:
    assert caught(rules.names_allowed(Path(path)))


def test_word_of_another_vocabulary_is_caught() -> None:
    path = Path("openmm/a.py")
    assert caught(rules.defined_names(path, "def list_exchanges(): ..."))
    assert caught(rules.defined_names(path, "def f(exchange: str): ..."))
    assert caught(rules.defined_names(path, "exchange_id = 1"))
    assert not caught(rules.defined_names(path, "venue = 'the Exchange'"))


def test_test_without_its_module_is_caught() -> None:
    modules = frozenset({"openmm._fast.book", "openmm.engine.step", "openmm.config"})
    assert not caught(rules.tests_mirror(Path("tests/config/test_config.py"), modules))
    assert not caught(rules.tests_mirror(Path("tests/_fast/test_book.py"), modules))
    assert not caught(rules.tests_mirror(Path("tests/_fast/test_book_replay.py"), modules))
    assert caught(rules.tests_mirror(Path("tests/_fast/test_books.py"), modules))
    assert caught(rules.tests_mirror(Path("tests/engine/test_book.py"), modules))


def test_sleeping_test_is_caught() -> None:
    path = Path("tests/a.py")
    assert caught(rules.tests_do_not_sleep(path, "time.sleep(1)"))
    assert caught(rules.tests_do_not_sleep(path, "await_ = asyncio.sleep(0.1)"))
    assert not caught(rules.tests_do_not_sleep(path, "asyncio.sleep(0)"))
    assert not caught(rules.tests_do_not_sleep(path, "def until(f):\n    time.sleep(0.1)"))


@pytest.mark.parametrize(
    "source",
    ["x = 1", '"""M."""\ndef f(): ...', '"""M."""\nclass A:\n    """A."""\n    def f(self): ...'],
)
def test_public_name_without_docstring_is_caught(source: str) -> None:
    assert caught(rules.has_docstrings(Path("openmm/a.py"), source))


def test_private_name_needs_no_docstring() -> None:
    assert not caught(rules.has_docstrings(Path("openmm/a.py"), '"""M."""\ndef _f(): ...'))
    assert not caught(rules.has_docstrings(Path("tests/a.py"), '"""M."""\ndef test_f(): ...'))


@pytest.mark.parametrize(
    "source",
    [
        "# Changelog\n\n## 0.1.0\n",
        "## Unreleased\n### Improvements\n",
        "## Unreleased\n### Fixed\n### Added\n",
        "## Unreleased\n### Added\n### Added\n",
    ],
)
def test_changelog_out_of_shape_is_caught(source: str) -> None:
    assert caught(rules.changelog_shape(Path("CHANGELOG.md"), source))


def test_link_to_nowhere_is_caught(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One head\n")
    page = Path("b.md")
    (tmp_path / page).write_text("")
    assert caught(rules.links_resolve(page, "[x](c.md)", tmp_path))
    assert caught(rules.links_resolve(page, "[x](a.md#two)", tmp_path))
    assert not caught(rules.links_resolve(page, "[x](a.md#one-head)", tmp_path))
    assert not caught(rules.links_resolve(page, "[x](https://example.com)", tmp_path))


def test_promise_without_a_test_is_caught() -> None:
    head = "| promise | test |\n|---|---|\n"
    collected = frozenset({"tests/a.py::test_b[1]", "tests/a.py::test_c"})
    page = Path("docs/promises.md")
    assert caught(rules.promises_kept(page, head + "| it works | later |\n", collected))
    assert caught(
        rules.promises_kept(page, head + "| it works | `tests/a.py::test_d` |\n", collected)
    )
    assert not caught(
        rules.promises_kept(page, head + "| it works | `tests/a.py::test_b` |\n", collected)
    )


def test_promise_stated_twice_is_caught() -> None:
    row = "| {} | `tests/a.py::test_{}` |\n"
    collected = frozenset({"tests/a.py::test_b", "tests/a.py::test_c"})
    page = Path("docs/promises.md")
    twice = row.format("it works", "b") + row.format("it does", "b")
    assert caught(rules.promises_kept(page, twice, collected))
    both = row.format("it works", "b") + row.format("it works", "c")
    assert not caught(rules.promises_kept(page, both, collected))


def test_code_of_blanks_comments_and_texts() -> None:
    source = 'x = "a // b"  # c // d\ny = """\n//\n""" + z\n'
    assert not any("//" in line for line in tree.code_of(source))
    assert tree.code_of(source)[3].strip() == "+ z"


def test_build_fails_on_warnings_and_performance_hints() -> None:
    setup = tree.load_setup()
    log = (
        "warning: a.pyx:1:2: Unused\n"
        "performance hint: a.pyx:3:4: Exception check on 'f' will always require the GIL\n"
        "[1/1] Cythonizing a.pyx\n"
    )
    assert len(setup.offences(log)) == (1 if setup.IS_CHECKED else 2)
