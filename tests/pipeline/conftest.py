"""The shop after Transform, for nodes that train: fixtures of tests/tfrec/conftest.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("model_fixtures", Path(__file__).parents[1] / "tfrec" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _fixtures  # its dataclasses look themselves up
_spec.loader.exec_module(_fixtures)

vocabulary = _fixtures.vocabulary
make_config = _fixtures.make_config
transformed_shop = _fixtures.transformed_shop
