"""Importing a framework for its tests."""

from __future__ import annotations

import importlib
import os
import warnings

import pytest

# The packages that an environment of tox was made for: their tests must not be skipped there, and no others are run.
TESTED = os.environ.get("ADAPTERS_TESTED", "").split()


def import_framework(module: str, package: str) -> None:
    """Imports `module`, and lets it warn; skips the tests of the caller where `package` is not installed, or is tested
    in another environment."""
    if TESTED and package not in TESTED:
        pytest.skip(f"{package} is tested in another environment", allow_module_level=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if TESTED:
            importlib.import_module(module)
        else:
            pytest.importorskip(module, reason=f"needs {package}: scripts/test -e adapters", exc_type=ImportError)
