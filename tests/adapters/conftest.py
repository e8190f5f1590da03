"""Tests of the adapters, each with the real framework from PyPI; where that is not installed, they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets frameworks warn: of what they themselves deprecate, and of what theirs have."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
