"""A configuration from its dump: what a journal holds of it, as the engine had it.

The dump holds values as they were read (`spread_ppm = 150`), not the texts of the file, so nothing
is validated or defaulted again: the same build gives the same object.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel

from openmm.config.schema import BotConfig
from openmm.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def restore(dumped: Mapping[str, Any]) -> BotConfig:
    """Make the configuration that `Section.plain` was taken of.

    Raises:
        ConfigError: the dump is of another build: fields are missing, or unknown here.
    """
    return _model(BotConfig, dumped, "config")


def _model(cls: type[M], value: Any, path: str) -> M:
    fields = cls.model_fields
    if not isinstance(value, Mapping) or value.keys() != fields.keys():
        found = sorted(value) if isinstance(value, Mapping) else value
        raise ConfigError(path, found, f"the fields of this build: {sorted(fields)}")
    return cls.model_construct(
        **{
            name: _value(field.annotation, value[name], f"{path}.{name}")
            for name, field in fields.items()
        }
    )


def _value(kind: Any, value: Any, path: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(args[0], value, path)
    if origin in (Union, types.UnionType):
        return None if value is None else _value(_chosen(args, value), value, path)
    if origin is tuple:
        return tuple(_value(args[0], one, f"{path}[{at}]") for at, one in enumerate(value))
    if origin is not None or kind is Any or not isinstance(kind, type) or origin is Literal:
        return value
    if issubclass(kind, BaseModel):
        return _model(kind, value, path)
    if dataclasses.is_dataclass(kind):
        return kind(**value)
    if issubclass(kind, tuple):
        return cast("type[Any]", kind)(*value)  # a named one
    if issubclass(kind, Decimal | Path) and isinstance(value, str):
        return cast("type[Any]", kind)(value)
    return value


def _chosen(args: tuple[Any, ...], value: Any) -> Any:
    """Choose the alternative that a value is of: models are told apart by their `kind`."""
    for one in args:
        if one is type(None):
            continue
        if isinstance(one, type) and issubclass(one, BaseModel) and isinstance(value, Mapping):
            field = one.model_fields.get("kind")
            if field is not None and value.get("kind") not in get_args(field.annotation):
                continue
        return one
    raise ConfigError("config", value, "a value of this build's configuration")
