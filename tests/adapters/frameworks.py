"""Importing a framework for its tests."""

from __future__ import annotations

import importlib
import os

import pytest

# The packages that an environment of tox was made for: their tests must not be skipped there, and no others are run.
TESTED = os.environ.get("ADAPTERS_TESTED", "").split()


def import_framework(module: str, package: str) -> None:
    """Imports `module`; skips the tests of the caller where `package` is not installed, or is tested in another
    environment."""
    if package in TESTED:
        importlib.import_module(module)
    elif TESTED:
        pytest.skip(f"{package} is tested in another environment", allow_module_level=True)
    else:
        pytest.importorskip(module, reason=f"needs {package}: scripts/test -e adapters", exc_type=ImportError)
