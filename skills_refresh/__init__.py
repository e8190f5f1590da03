"""skills-refresh: the skills on disk, current at every moment, in one object.

The public names are loaded when they are first used: a command line that prints its version, or that must hear a signal
early, does not wait for the engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .client import connect
    from .eligibility import Eligible, requires, trusted
    from .engine import Engine, watch
    from .errors import ClosedError, ConfigError, ConnectError, EngineError, ServerError, SkillsRefreshError
    from .filters import SkillFilter
    from .fresh_scan import Scan, scan
    from .health import RootHealth
    from .listeners import ListenerRegistry
    from .model import HiddenSkill, Skill, SkillChange, SkillFile, SkillsChanged, Snapshot
    from .problems import Problem
    from .roots import Root
    from .session import SavedSession, Session, Turn
    from .settings import Settings
    from .versions import VersionCounter
    from .workspace import Workspace

__all__ = [
    "ClosedError",
    "ConfigError",
    "connect",
    "ConnectError",
    "Eligible",
    "Engine",
    "EngineError",
    "HiddenSkill",
    "ListenerRegistry",
    "Problem",
    "requires",
    "Root",
    "RootHealth",
    "SavedSession",
    "Scan",
    "ServerError",
    "Session",
    "Settings",
    "Skill",
    "SkillChange",
    "SkillFile",
    "SkillFilter",
    "SkillsChanged",
    "SkillsRefreshError",
    "Snapshot",
    "trusted",
    "Turn",
    "VersionCounter",
    "Workspace",
    "__version__",
    "scan",
    "watch",
]

_MODULES = {
    "client": ("connect",),
    "eligibility": ("Eligible", "requires", "trusted"),
    "engine": ("Engine", "watch"),
    "errors": ("ClosedError", "ConfigError", "ConnectError", "EngineError", "ServerError", "SkillsRefreshError"),
    "filters": ("SkillFilter",),
    "fresh_scan": ("Scan", "scan"),
    "health": ("RootHealth",),
    "listeners": ("ListenerRegistry",),
    "model": ("HiddenSkill", "Skill", "SkillChange", "SkillFile", "SkillsChanged", "Snapshot"),
    "problems": ("Problem",),
    "roots": ("Root",),
    "session": ("SavedSession", "Session", "Turn"),
    "settings": ("Settings",),
    "versions": ("VersionCounter",),
    "workspace": ("Workspace",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
