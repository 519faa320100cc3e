"""The rules, as functions from a source to its offences: `path:line: what is wrong`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.tidy.tree import code_of, module_of

# From the bottom up: a module may import only from groups before its own. A group is a set of
# names that never import each other. Each vocabulary module is a group: it may import to its left.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split())
    for row in (
        "errors",
        "_fast",
        "clock",
        "address undumped units whole",
        "instrument",
        "events",
        "config",
        "packed",
        "journal",
        "telemetry",
        "board",
        "venues.capture venues.checks venues.claims venues.faults venues.fields venues.http",
        "venues.messages venues.remedies",
        "venues.calls venues.connector venues.reach venues.recordings",
        "venues.base venues.counterpart",
        "venues.candles venues.entry venues.questions venues.session venues.simulated",
        "venues.stream venues.watched venues.watched_dialect",
        "signal strategy risk execution settlement venues.*",
        "venues.readers venues.registry",
        "venues.desk",
        "data",
        "sim",
        "engine",
        "writer watchdog testing",
        "rerun",
        "backtest",
        "drift sweep",
        "control",
        # The surfaces: the gateway's process serves dashboard and MCP too, and the command line
        # starts each of them.
        "dashboard mcp top",
        "gateway",
        "cli",
    )
)
SURFACES = frozenset(["cli", "gateway", "dashboard", "mcp", "top"])
ENGINE = next(i for i, row in enumerate(LAYERS) if "engine" in row)

# Where real time and real randomness may be read.
CLOCK_READERS = frozenset(
    {
        "openmm.clock",
        "openmm.config.vault",  # salt and nonce
        "openmm._fast.feed",
        "openmm._fast.latency",
        "openmm.engine.loop",
        "openmm.engine.spin",  # bounds its spinning
        "openmm.engine.session",  # waits for the writer process to start and to end
        "openmm.engine.watchdog",  # waits for the watchdog process to start
    }
)
CLOCK_CALLS = frozenset(
    (
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.process_time",
        "time.process_time_ns",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
    )
)
CLOCK_NAMES_C = re.compile(
    r"\b(utc_ns|clock_gettime|gettimeofday|time_ns|monotonic(?:_ns)?|perf_counter(?:_ns)?"
    r"|rdtsc|__rdtsc|rand|srand|random|drand48|getrandom)\s*\("
)
# Where everything may be caught: task boundaries; the socket write, where any failure is a send
# that failed, kept in `last_error`; the call of a user's Python strategy, whose failure means that
# nothing is quoted; the call of a read callback, whose failure goes to the loop's handler; and the
# one input of the fuzzing that failed, whatever with.
CATCHERS = frozenset(
    {
        "openmm.engine.loop", "openmm.engine.spin", "openmm._fast.feed", "openmm.strategy.python",
        "openmm.strategy.plugins",  # the boundary of other packages' strategies
        "openmm.gateway.send",  # the boundary of a hundred services' plugins
        "openmm.engine.replay",  # stands where the loop's boundary stood
        "tests.fuzz.run",
    }
)  # fmt: skip

MODULE_NAMES_BANNED = frozenset(
    ("exchange", "utils", "util", "helpers", "helper", "common", "misc", "manager")
)
UNFINISHED = re.compile(
    r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "TB" + "D")) + r")\b"
)
FOLDERS_OF_A_MACHINE = "|".join(("wo" + "rk", "ro" + "ot", "tm" + "p", "ho" + "me"))
HOSTS_OF_REGISTRIES = "|".join(
    (
        "py" + r"pi\.org",
        "python" + r"hosted\.org",
        r"deb\.deb" + r"ian\.org",
        r"registry\.np" + r"mjs",
        "npm" + r"js\.org",
    )
)
MACHINE = re.compile(
    rf"(?<![\w.$}}~/-])/(?:{FOLDERS_OF_A_MACHINE})(?:/|\b)|\b(?:{HOSTS_OF_REGISTRIES})\b"
)


def layer_of(module: str) -> tuple[int, str] | None:
    """Place a module of `openmm`: (index of its group, its name there); None for the package."""
    parts = module.split(".")[1:]
    if not parts or parts == ["venues"]:
        return None
    name = ".".join(parts[:2]) if parts[0] == "venues" else parts[0]
    row_name = name
    if parts[0] == "venues" and not any(name in row for row in LAYERS):
        row_name = "venues.*"
    for index, row in enumerate(LAYERS):
        if row_name in row:
            return index, name
    raise ValueError(f"{module} is in no layer: add it to the table of imports")


def _module_name(module: str, names: Sequence[str]) -> list[str]:
    """Spell out `from openmm import a, b` and `from openmm.venues import kraken`."""
    if module in ("openmm", "openmm.venues", "openmm._fast"):
        return [module if name.startswith("__") else f"{module}.{name}" for name in names]
    return [module]


def imports_py(path: Path, source: str) -> list[tuple[int, str]]:
    """List (line, module) of every `openmm` import of a Python source, nested ones too."""
    found: list[tuple[int, str]] = []
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package[: len(package) - node.level + 1]
                module = ".".join([*base, *([module] if module else [])])
            names = [alias.name for alias in node.names]
            found += [(node.lineno, name) for name in _module_name(module, names)]
    return [(line, name) for line, name in found if name.split(".")[0] == "openmm"]


def imports_pyx(source: str) -> list[tuple[int, str]]:
    """List (line, module) of every `openmm` import and cimport of a Cython source."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(code_of(source), 1):
        if match := re.match(r"\s*from\s+([\w.]+)\s+c?import\s+(.*)", line):
            names = re.findall(r"\w+", match[2].partition(" as ")[0])
            found += [(number, name) for name in _module_name(match[1], names)]
        elif match := re.match(r"\s*c?import\s+([\w.]+)", line):
            found.append((number, match[1]))
    return [(line, name) for line, name in found if name.split(".")[0] == "openmm"]


def imports_one_way(path: Path, source: str, kernels: Sequence[str]) -> Iterator[str]:
    """Report imports that do not point down the table of layers, or up the pipeline in `_fast`."""
    importer = module_of(path)
    mine = layer_of(importer)
    found = imports_py(path, source) if path.suffix == ".py" else imports_pyx(source)
    for line, imported in found:
        theirs = layer_of(imported)
        if mine is None or theirs is None:
            continue
        if mine[1] == theirs[1]:
            both = imported in kernels and importer in kernels
            if both and kernels.index(imported) > kernels.index(importer):
                yield f"{path}:{line}: {importer} comes before {imported} in the pipeline"
            continue
        if theirs[0] >= mine[0]:
            yield f"{path}:{line}: {importer} may not import {imported}: it is not below it"


def imports_of_tests(path: Path, source: str) -> Iterator[str]:
    """Report shipped code that imports from the tests or the benches."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("tests", "bench", "examples"):
                yield f"{path}:{node.lineno}: the package may not import {name}"


def imports_foreign(path: Path, source: str) -> set[str]:
    """List the top-level packages that a source imports from other projects."""
    found: set[str] = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    else:
        for line in code_of(source):
            if match := re.match(r"\s*(?:from|c?import)\s+([\w.]+)", line):
                found.add(match[1])
    ours = {"openmm", "tests", "bench", "examples", "libc", "cpython", "posix", "cython"}
    roots = {name.split(".")[0] for name in found}
    return {name for name in roots if name not in ours and name not in sys.stdlib_module_names}


# Imported where they are used: a live bot starts without them, and `bench_start` gates its start.
LATE = frozenset(
    {
        "openmm.engine.hedger",
        "openmm.engine.orders",
        "openmm.engine.paper",
        "openmm.packed",
        "zstandard",
        "openmm.venues.binance.verify",
        "openmm.venues.bitget.verify",
        "openmm.venues.coinbase.verify",
        "openmm.venues.gateio.verify",
        "openmm.venues.kraken.verify",
        "openmm.venues.mexc.verify",
        "openmm.writer.books",
    }
)


def imports_at_top(path: Path, source: str) -> Iterator[str]:
    """Report imports inside functions: surfaces may have them, to start fast, and `LATE`."""
    layer = layer_of(module_of(path))
    if layer is None or layer[1] in SURFACES:
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for inner in ast.walk(node):
            late = isinstance(inner, ast.ImportFrom) and inner.module in LATE
            if isinstance(inner, ast.Import | ast.ImportFrom) and not late:
                yield f"{path}:{inner.lineno}: import inside a function"


def no_star_imports(path: Path, source: str) -> Iterator[str]:
    """Report `import *` and `cimport *`."""
    for number, line in enumerate(code_of(source), 1):
        if re.match(r"\s*from\s+[\w.]+\s+c?import\s+\*", line):
            yield f"{path}:{number}: star import"


def no_clock(path: Path, source: str) -> Iterator[str]:
    """Report real clocks and unseeded randomness at or below the engine, outside feed and loop."""
    module = module_of(path)
    layer = layer_of(module)
    if layer is None or layer[0] > ENGINE or module in CLOCK_READERS:
        return
    if path.suffix != ".py":
        for number, line in enumerate(code_of(source), 1):
            if (match := CLOCK_NAMES_C.search(line)) and not re.match(
                r"\s*(cdef\s+extern|def\s)", line
            ):
                yield f"{path}:{number}: {match[1]}() reads a clock or makes chance"
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in (
            "time",
            "random",
            "secrets",
            "uuid",
        ):
            for alias in node.names:
                if alias.name not in ("Random", "UUID", "struct_time", "compare_digest"):
                    yield f"{path}:{node.lineno}: from {node.module} import {alias.name}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        unseeded = called in ("random.Random", "Random") and not (node.args or node.keywords)
        chance = called.startswith(("random.", "secrets.", "numpy.random.", "np.random."))
        seeded = bool(node.args) and called.endswith((".Random", ".default_rng"))
        pure = seeded or called == "secrets.compare_digest"
        if called in CLOCK_CALLS or unseeded or (chance and not pure):
            yield f"{path}:{node.lineno}: {called}() reads a clock or makes chance"


def no_broad_except(path: Path, source: str) -> Iterator[str]:
    """Report handlers that catch everything, outside the task boundaries of the loop."""
    if module_of(path) in CATCHERS:
        return
    broad = ("Exception", "BaseException")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            for kind in kinds:
                if kind is None or (isinstance(kind, ast.Name) and kind.id in broad):
                    yield f"{path}:{node.lineno}: catches everything"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            names = [arg.id for arg in node.args if isinstance(arg, ast.Name)]
            if any(name in broad for name in names):
                yield f"{path}:{node.lineno}: suppresses everything"


def no_broad_except_pyx(path: Path, source: str) -> Iterator[str]:
    """Report handlers of a Cython source that catch everything."""
    if module_of(path) in CATCHERS:
        return
    for number, line in enumerate(code_of(source), 1):
        if re.match(r"\s*except\s*(\(?\s*(Base)?Exception\b.*)?:", line):
            yield f"{path}:{number}: catches everything"


def no_cpdef(path: Path, source: str, overrides: frozenset[str]) -> Iterator[str]:
    """Report `cpdef` functions other than overrides of callbacks that picows declares so."""
    for number, line in enumerate(code_of(source), 1):
        match = re.match(r"\s*cpdef\s+(?!enum\b)(.*)", line)
        if match and not any(re.search(rf"\b{name}\s*\(", match[1]) for name in overrides):
            yield f"{path}:{number}: cpdef: give it a C face and a Python face"


def no_directives(path: Path, source: str) -> Iterator[str]:
    """Report compiler directives in a source: they live in setup.py."""
    for number, line in enumerate(source.splitlines(), 1):
        if re.match(r"\s*#\s*(cython|distutils)\s*:", line):
            yield f"{path}:{number}: directive comment"
    for number, line in enumerate(code_of(source), 1):
        kept = r"(final|internal|freelist|no_gc|no_gc_clear|dataclasses)\b"
        if re.match(rf"\s*@cython\.(?!{kept})", line) or re.match(r"\s*with\s+cython\.", line):
            yield f"{path}:{number}: directive in a source"


def classes_final(path: Path, source: str, declared: str) -> Iterator[str]:
    """Report extension classes that are final neither in the source nor in its `.pxd`, `declared`.

    The classes of `ports` are there to be filled in.
    """
    if path.stem == "ports":
        return

    def classes(text: str) -> Iterator[tuple[int, str, bool]]:
        lines = code_of(text)
        for number, line in enumerate(lines, 1):
            if match := re.match(r"cdef\s+class\s+(\w+)", line):
                final = lines[number - 2].strip() in ("@cython.final", "@final")
                yield number, match[1], final

    known = {name for _, name, final in classes(declared) if final}
    for number, name, final in classes(source):
        if not final and name not in known:
            yield f"{path}:{number}: class {name} is not final"


def divisions_named(path: Path, source: str) -> Iterator[str]:
    """Report `//` in a kernel: with cdivision on it rounds toward zero; `units` divides by name.

    A function may divide what cannot be negative: unsigned values, or those of which a comment or
    docstring in it says so with the word "negative".
    """
    if path.stem == "units":
        return
    raw = source.splitlines()
    code = code_of(source)
    starts = [
        n for n, line in enumerate(code) if re.match(r"\s*(cdef|cpdef|def|async def)\s.*\(", line)
    ]
    for first, last in zip([0, *starts], [*starts, len(code)], strict=True):
        if re.search(r"negative|\bunsigned\b|\buint\d+_t\b", "\n".join(raw[first:last])):
            continue
        for number in range(first, last):
            line = re.sub(r"\b[A-Z][A-Z0-9_]* // [\dA-Z_]+", "", code[number])  # known at build
            if "//" in line:
                yield f"{path}:{number + 1}: `//`: use floor_div or ceil_div of units"


def no_unfinished(path: Path, source: str) -> Iterator[str]:
    """Report marks of unfinished work."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := UNFINISHED.search(line):
            yield f"{path}:{number}: {match[0]}: finish it or file it"


def no_machine(path: Path, source: str) -> Iterator[str]:
    """Report paths of one machine and hosts of package registries."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := MACHINE.search(line):
            yield f"{path}:{number}: {match[0]} belongs to a machine, not to the project"


def names_allowed(path: Path) -> Iterator[str]:
    """Report files and folders named after nothing in particular."""
    for part in (*path.parts[:-1], path.stem.removeprefix("test_").removeprefix("bench_")):
        if part in MODULE_NAMES_BANNED:
            yield f"{path}: {part!r} is no name for a module"


def defined_names(path: Path, source: str) -> Iterator[str]:
    """Report identifiers that use a word of another vocabulary: it is a venue."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name, line = node.name, node.lineno
        elif isinstance(node, ast.arg):
            name, line = node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name, line = node.id, node.lineno
        else:
            continue
        if "exchange" in name.lower():
            yield f"{path}:{line}: {name}: the word is venue"


def tests_mirror(path: Path, modules: frozenset[str]) -> Iterator[str]:
    """Report a test file whose path is not that of a module.

    `tests/a/test_b.py` and `test_b_aspect.py` are for `openmm/a/b`, `tests/a/test_a.py` (or
    `test_init.py`) for the package `openmm/a`.
    """
    parts = path.with_suffix("").parts[1:]
    stem = parts[-1].removeprefix("test_")
    words = stem.split("_")
    folder = ".".join(("openmm", *parts[:-1]))
    if words[0] in ("init", parts[-2] if len(parts) > 1 else "") and folder in modules:
        return  # the package as a whole
    for count in range(len(words), 0, -1):
        if f"{folder}.{'_'.join(words[:count])}" in modules:
            return
    yield f"{path}: no module {folder}.{stem}"


def tests_do_not_sleep(path: Path, source: str) -> Iterator[str]:
    """Report sleeping in tests: the test drives the clock, or awaits what it waits for.

    Only a function named `until`, which waits for another process with a bound, may.
    """
    sleeps = ("time.sleep", "asyncio.sleep", "sleep")
    tree = ast.parse(source)
    waits: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "until":
            waits |= set(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in sleeps and node not in waits:
            yields = [isinstance(arg, ast.Constant) and arg.value == 0 for arg in node.args]
            if yields != [True]:
                yield f"{path}:{node.lineno}: sleeps"


def has_docstrings(path: Path, source: str) -> Iterator[str]:
    """Report modules and public names without a docstring; overrides are exempt."""
    tree = ast.parse(source)
    if not ast.get_docstring(tree) and tree.body:
        yield f"{path}:1: module without a docstring"
    if path.parts[0] != "openmm":
        return

    def visit(body: list[ast.stmt], inside: str) -> Iterator[str]:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_"):
                continue
            decorators = {ast.unparse(d) for d in node.decorator_list}
            exempt = any(d.endswith((".setter", "overload", "override")) for d in decorators)
            if not ast.get_docstring(node) and not exempt:
                yield f"{path}:{node.lineno}: {inside}{node.name} without a docstring"
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{node.name}.")

    yield from visit(tree.body, "")


CHANGELOG_SECTIONS = ("Trading behaviour", "Added", "Changed", "Fixed", "Removed", "Performance")


def changelog_shape(path: Path, source: str) -> Iterator[str]:
    """Report a changelog without `Unreleased` on top, or with sections unknown or out of order."""
    heads = [(n, line) for n, line in enumerate(source.splitlines(), 1) if line.startswith("## ")]
    if not heads or heads[0][1] != "## Unreleased":
        yield f"{path}: `## Unreleased` is not on top"
    last = -1
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("## "):
            last = -1
        elif line.startswith("### "):
            name = line[4:].strip()
            if name not in CHANGELOG_SECTIONS:
                yield f"{path}:{number}: section {name!r} is none of {CHANGELOG_SECTIONS}"
            elif (index := CHANGELOG_SECTIONS.index(name)) <= last:
                yield f"{path}:{number}: section {name!r} is out of order or doubled"
            else:
                last = index


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def heading_anchors(source: str) -> set[str]:
    """List the anchors of a Markdown page as a forge makes them."""
    found: set[str] = set()
    for line in source.splitlines():
        if match := re.match(r"#+\s+(.*)", line):
            plain = re.sub(r"[^\w\- ]", "", match[1].lower())
            found.add(plain.strip().replace(" ", "-"))
    return found


def links_resolve(path: Path, source: str, root: Path) -> Iterator[str]:
    """Report relative links of a page that lead nowhere."""
    for number, line in enumerate(source.splitlines(), 1):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            page = (root / path).parent / name if name else root / path
            if not page.exists():
                yield f"{path}:{number}: link to {target}: no such file"
            elif anchor and anchor not in heading_anchors(page.read_text(encoding="utf-8")):
                yield f"{path}:{number}: link to {target}: no such heading"


def promise_tests(source: str) -> list[tuple[int, str]]:
    """List (line, test id) of the promise table: ids stand in back quotes in its last column."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("|") and "---" not in line:
            cell = line.rstrip().rstrip("|").rsplit("|", 1)[-1]
            found += [(number, test) for test in re.findall(r"`(tests/[^`]+|bench/[^`]+)`", cell)]
    return found


def promises_kept(path: Path, source: str, collected: frozenset[str]) -> Iterator[str]:
    """Report promises that name no test, one that does not exist, or another promise's."""
    rows = [
        (number, line)
        for number, line in enumerate(source.splitlines(), 1)
        if line.startswith("|")
        and not re.match(r"\|\s*-", line)
        and not re.match(r"\|\s*promise\s*\|", line)
    ]
    tests = promise_tests(source)
    for number, _ in rows:
        if number not in {line for line, _ in tests}:
            yield f"{path}:{number}: the promise names no test"
    for number, test in tests:
        if test not in collected and not any(
            c.startswith((test + "[", test + "::")) for c in collected
        ):
            yield f"{path}:{number}: no such test: {test}"
    first: dict[str, int] = {}
    for number, test in tests:
        if first.setdefault(test, number) != number:
            yield f"{path}:{number}: stands in line {first[test]} under other words: {test}"
