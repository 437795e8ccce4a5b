"""The shop after Transform, for nodes that train."""

from tests.tfrec.conftest import make_config, transformed_shop, vocabulary  # noqa: F401  by name
