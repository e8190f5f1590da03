"""Tests of the adapters, each with the real framework from PyPI; where that is not installed, they are skipped."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from pathlib import Path

import pytest

Report = pytest.CollectReport
_HERE = Path(__file__).parent


# Everywhere else a warning is an error. The newest frameworks are tested, whose next release may warn of what will not
# be there in a year.
@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Report, Report]:
    """Lets frameworks warn while they are imported."""
    if _HERE not in collector.path.parents:
        return (yield)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets frameworks warn while they are used."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
