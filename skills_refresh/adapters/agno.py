"""Agno: a `SkillLoader` that loads from a workspace, and `Skills` that are always current. Needs `agno`.

The framework's `Skills.reload` empties what agents are reading, loads anew, and stops at the first skill that does not
validate. Here a complete `Skills` is made beside the one in use and put into its place by one assignment, when somebody
asks and the version has moved. Nothing is subscribed to and no file is read.
"""

from __future__ import annotations

from ..errors import ConfigError
from ..model import Skill, Snapshot
from ..workspace import Workspace
from .conversion import ConvertedSkills
from .optional_fields import optional_fields

try:
    from agno.skills import Skill as AgnoSkill
    from agno.skills import SkillLoader, Skills
    from agno.tools.function import Function
except ImportError as error:
    raise ConfigError(
        "this adapter needs agno, which is not installed or too old: pip install --upgrade agno"
    ) from error


class SnapshotSkillLoader(SkillLoader):
    """Loads the skills of `workspace` as they are when it is asked; for a `Skills` with other loaders too, which is
    then current when it was made and after each `reload()`. Safe from any thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._converted = ConvertedSkills(workspace, _agno_skill)

    def load(self) -> list[AgnoSkill]:
        """The current skills. Reads no file; one that is broken is what it was when it was last good."""
        return list(self._converted.current().values())


class SnapshotSkills(Skills):
    """The skills of `workspace`, in each turn as they are when it begins.

    It is what an agent or a team gets as its `skills`::

        with skills_refresh.watch("skills") as workspace:
            agent = Agent(model=..., skills=SnapshotSkills(workspace))

    The tools that a turn was given answer from the skills that were there when it began. May be shared, also by
    threads. When the workspace is closed, its last skills stay.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(loaders=[])
        self.loaders = [SnapshotSkillLoader(workspace)]
        self._workspace = workspace
        self._held: tuple[Snapshot, Skills] | None = None

    def reload(self) -> None:
        """Waits until everything written before this call is there, as `Workspace.sync` does, and raises like it."""
        self._workspace.sync()

    def get_skill(self, name: str) -> AgnoSkill | None:
        """The skill called `name`."""
        return self._current().get_skill(name)

    def get_all_skills(self) -> list[AgnoSkill]:
        """All skills, sorted by name."""
        return self._current().get_all_skills()

    def get_skill_names(self) -> list[str]:
        """The names of all skills, sorted."""
        return self._current().get_skill_names()

    def get_system_prompt_snippet(self) -> str:
        """What a system prompt says of the skills."""
        return self._current().get_system_prompt_snippet()

    def get_tools(self) -> list[Function]:
        """The tools for a turn, which answer from the skills of now."""
        return self._current().get_tools()

    def _current(self) -> Skills:
        snapshot = self._workspace.snapshot
        held = self._held
        if held is None or held[0] is not snapshot:
            self._held = held = (snapshot, Skills(self.loaders))
        return held[1]


def _agno_skill(skill: Skill) -> AgnoSkill:
    fields = optional_fields(skill)
    return AgnoSkill(
        name=skill.name,
        description=skill.description,
        instructions=skill.instructions().strip(),
        source_path=str(skill.directory),
        scripts=_below("scripts/", skill),
        references=_below("references/", skill),
        metadata=fields.metadata or None,
        license=fields.license,
        compatibility=fields.compatibility,
        allowed_tools=fields.allowed_tools or None,
    )


def _below(directory: str, skill: Skill) -> list[str]:
    return [file.path[len(directory) :] for file in skill.files if file.path.startswith(directory)]
