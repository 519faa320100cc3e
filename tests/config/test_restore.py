"""A configuration from its dump: the one it was taken of."""

from __future__ import annotations

import pytest

from openmm.config.restore import restore
from openmm.errors import ConfigError
from tests.config.test_change import SHAPED, config


def test_dump_gives_the_configuration_back() -> None:
    for made in (config(), config(**SHAPED, price_floor="100", price_ceiling="off")):
        again = restore(made.plain())
        assert again == made
        assert again.plain() == made.plain()
        assert str(again.strategy) == str(made.strategy)


def test_dump_of_another_build_is_refused() -> None:
    dumped = config().plain()
    del dumped["strategy"]["hanging"]
    with pytest.raises(ConfigError, match="fields of this build"):
        restore(dumped)
