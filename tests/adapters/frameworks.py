"""Importing a framework for its tests."""

from __future__ import annotations

import warnings

import pytest


def import_framework(module: str, package: str) -> None:
    """Imports `module`, and lets it warn; skips the tests of the caller where `package` is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(module, reason=f"needs {package}: scripts/test -e adapters")
