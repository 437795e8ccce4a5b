"""The shop's two stages, for scores of the ranker."""

from tests.tfrec.conftest import exported_shop, two_stage_shop  # noqa: F401  by name
