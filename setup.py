"""Build the compiled kernels: the one list of extension modules, each with its directive profile.

``CHECKED`` keeps every run-time check of Cython on. ``HOT`` removes bounds, wraparound and
initialisation checks and is for modules whose checked build passes the same tests.

``OPENMM_CHECKED=1``          builds everything ``CHECKED``
``OPENMM_ONLY=book,scan``     builds just those modules (matched on the end of their names)
``OPENMM_SANITIZE=address``   builds under AddressSanitizer, for `make fuzz`; never in place

Each build flavour keeps its C files, objects and libraries in ``build/<flavour>-<digest>/``; the
digest covers directives, flags and compiler versions, so a change of any of them rebuilds, and
switching between flavours costs a copy. The build fails on every Cython warning, and the normal
one also on every "performance hint", which Cython prints without failing.
"""

from __future__ import annotations

import filecmp
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

Profile = dict[str, bool | int]

CHECKED: Profile = {
    "language_level": 3,
    "binding": True,
    "embedsignature": False,
    "freethreading_compatible": False,
    "boundscheck": True,
    "wraparound": True,
    "initializedcheck": True,
    "cdivision": False,
    "legacy_implicit_noexcept": False,
}
HOT: Profile = CHECKED | {
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}

PROFILES = {"hot": HOT, "checked": CHECKED}

# Pipeline order: a kernel cimports only from lines above its own.
MODULES: dict[str, Profile] = {
    "openmm._fast.units": HOT,
    "openmm._fast.scan": HOT,
    "openmm._fast.proto": HOT,
    "openmm._fast.book": HOT,
    "openmm._fast.orderflow": HOT,
    "openmm._fast.signals": HOT,
    "openmm._fast.intensity": HOT,
    "openmm._fast.reference": HOT,
    "openmm._fast.orders": HOT,
    "openmm._fast.queue": HOT,
    "openmm._fast.inventory": HOT,
    "openmm._fast.latency": HOT,
    "openmm._fast.tape": HOT,
    "openmm._fast.matching": HOT,
    "openmm._fast.quotes": HOT,
    "openmm._fast.leans": HOT,
    "openmm._fast.shape": HOT,
    "openmm._fast.planner": HOT,
    "openmm._fast.checks": HOT,
    "openmm._fast.records": HOT,
    "openmm._fast.text": HOT,
    "openmm._fast.ports": HOT,
    "openmm._fast.board": HOT,
    "openmm._fast.changes": HOT,
    "openmm._fast.increments": HOT,
    "openmm._fast.rest": HOT,
    "openmm._fast.recalled": HOT,
    "openmm._fast.pipeline": HOT,
    "openmm._fast.queue_venue": HOT,
    "openmm._fast.backtest": HOT,
    "openmm._fast.rehearsal": HOT,
    "openmm._fast.feed": HOT,
    "openmm.data.cut": HOT,
    "openmm.engine.spin": HOT,
    "openmm.testing.calls": HOT,
    "openmm.testing.fence": HOT,
    "openmm.strategy.fenced": HOT,
    "openmm.strategy.grid": HOT,
    "openmm.strategy.optimal": HOT,
    "openmm.strategy.glft": HOT,
    "openmm.strategy.avellaneda": HOT,
    "openmm.strategy.python": HOT,
    "openmm.venues.binance.wire": HOT,
    "openmm.venues.bitget.checksum": HOT,
    "openmm.venues.bitget.encode": HOT,
    "openmm.venues.bitget.wire": HOT,
    "openmm.venues.coinbase.wire": HOT,
    "openmm.venues.gateio.encode": HOT,
    "openmm.venues.gateio.wire": HOT,
    "openmm.venues.kraken.checksum": HOT,
    "openmm.venues.kraken.encode": HOT,
    "openmm.venues.kraken.wire": HOT,
    "openmm.venues.mexc.encode": HOT,
    "openmm.venues.mexc.wire": HOT,
}

# No -ffast-math and no -march=native: the same bits on every machine of the family.
CFLAGS = ["-O3", "-Wall", "-Wextra", "-ffp-contract=off", "-fno-strict-aliasing",
          "-Wno-unused-parameter", "-Wno-unused-function", "-Wno-cast-function-type",
          "-Wno-missing-field-initializers"]  # fmt: skip

IS_CHECKED = os.environ.get("OPENMM_CHECKED") == "1"
SANITIZE = os.environ.get("OPENMM_SANITIZE", "")
# Quick to compile, and with frames that a report can name. Every read behind an allocation ends
# the process; a leak is none of its business here, the interpreter itself has plenty.
SANITIZE_CFLAGS = ["-O1", "-g1", "-fsanitize=address", "-fno-omit-frame-pointer"]
# Lines of Cython's log that fail the build. An unavoidable one may be named here, with its reason.
OFFENCES = ("warning: ",) if IS_CHECKED else ("warning: ", "performance hint: ")
# Regular expression of a log line -> why it cannot be avoided.
ALLOWED: dict[str, str] = {
    r"openmm/strategy/python\.pyx:.* circumvents GIL validation": "its callers hold the lock",
}


def flavour_dir(sanitize: str = SANITIZE) -> Path:
    """Name the build folder after everything that decides what the compiler makes."""
    parts: list[object] = [CHECKED, HOT, CFLAGS, *(SANITIZE_CFLAGS if sanitize else ())]
    parts += [importlib.metadata.version(name) for name in ("cython", "picows")]
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    flavour = "checked" if IS_CHECKED else "normal"
    return Path("build") / f"{sanitize or flavour}-{digest}"


def profile_of(module: str) -> str:
    """Name the profile that this build gives to a module."""
    return "hot" if MODULES[module] is HOT and not IS_CHECKED else "checked"


def assert_picows() -> None:
    """Refuse any picows but the pinned one: its object layout is compiled into our listener."""
    requires = tomllib.loads(Path("pyproject.toml").read_text())["build-system"]["requires"]
    pinned = next(r.partition("==")[2] for r in requires if r.startswith("picows=="))
    found = importlib.metadata.version("picows")
    if found != pinned:
        sys.exit(f"setup.py: picows {pinned} is needed to build, found {found}")


@contextmanager
def stderr_to(path: Path) -> Iterator[None]:
    """Send file descriptor 2 into `path`, for this process and those it starts."""
    sys.stderr.flush()
    saved = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def offences(log: str) -> list[str]:
    """List the lines of Cython's log that fail the build."""
    lines = [line for line in log.splitlines() if line.startswith(OFFENCES)]
    return [line for line in lines if not any(re.search(known, line) for known in ALLOWED)]


def translate(extensions: list[Extension], c_dir: Path) -> dict[str, Extension]:
    """Turn `.pyx` into `.c`, all modules of a profile at once; exit on any offence."""
    started = time.time()
    done: list[Extension] = []
    handle, log_name = tempfile.mkstemp(prefix="openmm-cython-", suffix=".log")
    os.close(handle)
    log_path = Path(log_name)
    log = ""
    try:
        for name, profile in PROFILES.items():
            chosen = [ext for ext in extensions if profile_of(ext.name) == name]
            if not chosen:
                continue
            try:
                with stderr_to(log_path):
                    done += cythonize(
                        chosen,
                        compiler_directives=profile,
                        build_dir=str(c_dir / name),
                        nthreads=min(len(chosen), os.cpu_count() or 1),
                    )
            except CompileError as error:
                sys.exit(f"setup.py: does not translate: {error}")
            finally:
                text = log_path.read_text(errors="replace")
                log += text
                sys.stderr.write(text)
    finally:
        log_path.unlink()
    if bad := offences(log):
        for source in (Path(s) for ext in done for s in ext.sources):
            if source.suffix == ".c" and source.stat().st_mtime >= started - 1:
                source.unlink()  # or the next build would find it fresh and pass
        sys.exit("setup.py: Cython's log must be empty of these:\n  " + "\n  ".join(bad))
    return {ext.name: ext for ext in done}


class Build(build):
    """Keep each flavour's products apart."""

    def initialize_options(self) -> None:
        """Choose the flavour's folder."""
        super().initialize_options()
        self.build_base = str(flavour_dir())


class BuildExt(build_ext):
    """Translate with this file's profiles, compile in parallel, replace libraries in one step."""

    def finalize_options(self) -> None:
        """Use every core unless told otherwise."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()

    def run(self) -> None:
        """Build in the flavour's folder, also for an editable install, which names another."""
        if SANITIZE and self.inplace:
            sys.exit("setup.py: a sanitised build never replaces the one in place: use `build`")
        if self.inplace:
            plan = Build(self.distribution)
            plan.ensure_finalized()
            self.build_lib, self.build_temp = plan.build_platlib, plan.build_temp
        super().run()

    def build_extensions(self) -> None:
        """Translate, then compile what is out of date."""
        # What is sanitised is the C of the other flavour, byte for byte.
        made = translate(self.extensions, flavour_dir(sanitize="") / "c")
        for ext in self.extensions:
            ext.sources = made[ext.name].sources
            stamp = flavour_dir() / "c" / f"{ext.name}.profile"
            stamp.parent.mkdir(parents=True, exist_ok=True)
            if not stamp.exists() or stamp.read_text() != profile_of(ext.name):
                stamp.write_text(profile_of(ext.name))
            ext.depends = [*made[ext.name].depends, str(stamp)]
        super().build_extensions()

    def copy_extensions_to_source(self) -> None:
        """Put libraries beside their sources, never touching one that a process may have mapped."""
        build_py = self.get_finalized_command("build_py")
        for ext in self.extensions:
            target, built = (Path(p) for p in self._get_inplace_equivalent(build_py, ext))
            if target.exists() and filecmp.cmp(built, target, shallow=False):
                continue
            fresh = target.with_name(target.name + ".new")
            shutil.copy2(built, fresh)
            fresh.replace(target)


def extensions() -> list[Extension]:
    """List the modules to build; `OPENMM_ONLY` narrows it."""
    only = tuple(part for part in os.environ.get("OPENMM_ONLY", "").split(",") if part)
    found: list[Extension] = []
    for name in MODULES:
        if only and not any(name == part or name.endswith("." + part) for part in only):
            continue
        source = Path(name.replace(".", "/") + ".pyx")
        if not source.exists():
            sys.exit(f"setup.py: source of extension {name} is missing: {source}")
        found.append(
            Extension(
                name, [str(source)], include_dirs=["openmm"],
                extra_compile_args=[*CFLAGS, *(SANITIZE_CFLAGS if SANITIZE else ())],
                extra_link_args=[f"-fsanitize={SANITIZE}"] if SANITIZE else [],
            )
        )  # fmt: skip
    return found


if __name__ == "__main__":
    if SANITIZE not in ("", "address"):
        sys.exit(f"setup.py: OPENMM_SANITIZE is address or nothing: {SANITIZE}")
    assert_picows()
    setup(ext_modules=extensions(), cmdclass={"build": Build, "build_ext": BuildExt})
