"""skills-refresh: the skills on disk, current at every moment, in one object."""

from ._version import __version__
from .engine import Engine, watch
from .errors import ClosedError, ConfigError, SkillsRefreshError
from .filters import SkillFilter
from .health import RootHealth
from .listeners import ListenerRegistry
from .model import Skill, SkillChange, SkillFile, SkillsChanged, Snapshot
from .problems import Problem
from .roots import Root
from .settings import Settings
from .versions import VersionCounter
from .workspace import Workspace

__all__ = [
    "ClosedError",
    "ConfigError",
    "Engine",
    "ListenerRegistry",
    "Problem",
    "Root",
    "RootHealth",
    "Settings",
    "Skill",
    "SkillChange",
    "SkillFile",
    "SkillFilter",
    "SkillsChanged",
    "SkillsRefreshError",
    "Snapshot",
    "VersionCounter",
    "Workspace",
    "__version__",
    "watch",
]
