from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pytest

from skills_refresh import ConfigError, adapters

# Each adapter, what it is imported from, and what brings that.
FRAMEWORKS = {
    "agent_framework": ("agent_framework", "agent-framework-core"),
    "agno": ("agno", "agno"),
    "deepagents": ("deepagents", "deepagents"),
    "fastmcp": ("fastmcp", "fastmcp"),
    "google_adk": ("google.adk", "google-adk"),
    "nanobot": ("nanobot", "nanobot-ai"),
    "strands": ("strands", "strands-agents"),
}
# What several adapters use.
SHARED = {"conversion", "current_file", "optional_fields"}


class Missing(MetaPathFinder):
    """Makes the module `name` one that is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == self.name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def test_every_adapter_is_looked_at_here() -> None:
    assert {module.name for module in pkgutil.iter_modules(adapters.__path__)} == FRAMEWORKS.keys() | SHARED


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_an_adapter_without_its_framework_says_how_to_get_it(adapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, package = FRAMEWORKS[adapter]
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(module), *sys.meta_path])
    monkeypatch.delitem(sys.modules, f"skills_refresh.adapters.{adapter}", raising=False)
    with pytest.raises(
        ConfigError, match=f"needs {package}, which is not installed or too old: pip install --upgrade {package}$"
    ) as raised:
        importlib.import_module(f"skills_refresh.adapters.{adapter}")
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)
