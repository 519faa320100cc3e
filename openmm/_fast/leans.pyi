from collections.abc import Mapping
from typing import Any

LEAN_FIELDS: tuple[str, ...]

def lean(view: Mapping[str, int], params: Mapping[str, int]) -> tuple[int, int, dict[str, Any]]: ...
