"""What is fuzzed: a name, samples to spoil, and a check of one input."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from openmm.testing.fence import Fence
from tests.fuzz.mutate import make

Check = Callable[[bytes], None]
INPUT_BYTES_MAX: Final = 1 << 18
# Under AddressSanitizer inputs lie on its heap, which sees reads before them as well.
SANITISED: Final = "libasan" in os.environ.get("LD_PRELOAD", "")


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of foreign bytes.

    `check` raises for an input that does what none may; `weight`: its part of all inputs, by how
    fast it is and how much depends on it.
    """

    name: str
    check: Check
    samples: Sequence[bytes]
    weight: int = 1
    longest: int = 512

    def input(self, seed: int, number: int) -> bytes:
        """Return the input of a number: the same for the same seed."""
        made = make(Random(seed << 40 | number), self.samples, self.longest)
        return made[:INPUT_BYTES_MAX]


def must(fact: bool, seen: object) -> None:
    """Fail an input unless something holds."""
    assert fact, seen


def fence() -> Fence:
    """Make memory behind which nothing can be read."""
    return Fence(INPUT_BYTES_MAX, SANITISED)
