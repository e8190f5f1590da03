"""Runs of pytest with the plugin as its users have them: in this process, and in one of their own.

They load this plugin and those that a test names, and no others that happen to be installed: some take seconds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml  # noqa: F401 - a run in this process forgets what it imported, and this one's C part cannot come twice

Run = Callable[..., pytest.RunResult]
ALONE = ("-p", "skills_refresh", "-p", "no:cacheprovider", "--strict-markers", "--strict-config")


def run_quickly(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> pytest.RunResult:
    """A run in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester.runpytest_inprocess(*ALONE, *map(str, arguments))


def run_apart(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> pytest.RunResult:
    """A run in a process of its own, in which every warning is an error."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester.runpytest_subprocess("-W", "error", *ALONE, *map(str, arguments), timeout=60)
