"""Microsoft Agent Framework: a `SkillsSource` that gives the skills of a workspace. Needs `agent-framework-core`.

The framework's own source walks directories each time it is asked; with the cache that it is usually given, skills are
those of the first run for ever, or until a timer has run out. This one is asked at every run and answers from the
snapshot, so it needs no cache.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial

from ..errors import ConfigError
from ..filters import SKILL_FILE
from ..model import Skill
from ..workspace import Workspace
from .conversion import ConvertedSkills
from .current_file import read_current_file
from .optional_fields import optional_fields

try:
    from agent_framework import (
        FileSkill,
        FileSkillScript,
        SkillFrontmatter,
        SkillResource,
        SkillScriptRunner,
        SkillsSource,
        SkillsSourceContext,
    )
    from agent_framework import Skill as FrameworkSkill
except ImportError as error:
    raise ConfigError(
        "this adapter needs agent-framework-core, which is not installed or too old:"
        " pip install --upgrade agent-framework-core"
    ) from error


class SnapshotSkillsSource(SkillsSource):
    """The skills of `workspace`, in each run as they are when it begins.

    It takes the place of `FileSkillsSource`::

        with skills_refresh.watch("skills") as workspace:
            agent = Agent(client, context_providers=[SkillsProvider(SnapshotSkillsSource(workspace))])

    It composes like that one (`AggregatingSkillsSource`, `FilteringSkillsSource`); a `CachingSkillsSource` around it
    would make it old. Files of `script_extensions` are scripts, which `script_runner` runs as it does those of
    `FileSkillsSource`, which refuses those behind a link; all other relevant files are resources. A skill that breaks
    the framework's rules of names and lengths is left out, which is logged once. It subscribes to nothing: when the
    workspace is closed, its last skills stay. Safe from any thread and event loop.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        script_runner: SkillScriptRunner | None = None,
        script_extensions: Sequence[str] = (".py",),
    ) -> None:
        self._read = partial(read_current_file, workspace)
        self._script_runner = script_runner
        self._script_extensions = tuple(script_extensions)
        self._converted = ConvertedSkills(workspace, self._file_skill)

    async def get_skills(self, context: SkillsSourceContext) -> list[FrameworkSkill]:
        """The current skills, sorted by name; the same for every `context`. Reads no file."""
        return list(self._converted.current().values())

    def _file_skill(self, skill: Skill) -> FileSkill:
        fields = optional_fields(skill)
        paths = [file.path for file in skill.files if file.path != SKILL_FILE]
        scripts = [path for path in paths if path.endswith(self._script_extensions)]
        run = [path for path in scripts if not _is_behind_link(skill, path)]
        return FileSkill(
            frontmatter=SkillFrontmatter(
                name=skill.name,
                description=skill.description,
                license=fields.license,
                compatibility=fields.compatibility,
                allowed_tools=" ".join(fields.allowed_tools) or None,
                metadata=fields.metadata_texts() or None,
            ),
            content=skill.source.decode("utf-8", "replace"),
            path=str(skill.directory),
            resources=[_SkillFileResource(self._read, skill.name, path) for path in paths if path not in scripts],
            scripts=[self._script(skill, path) for path in run],
        )

    def _script(self, skill: Skill, path: str) -> FileSkillScript:
        return FileSkillScript(
            name=path,
            full_path=str(skill.directory / path),
            runner=self._script_runner,
            # With these the framework looks before it runs a script whether a link was swapped in.
            skill_dir=str(skill.directory),
            trusted_root=str(skill.root),
        )


def _is_behind_link(skill: Skill, path: str) -> bool:
    """Whether a link below its root leads to the file `path` of `skill`."""
    directory = os.path.dirname(skill.relative_location)
    return os.path.realpath(skill.directory / path) != os.path.join(os.path.realpath(skill.root), directory, path)


class _SkillFileResource(SkillResource):
    """A relevant file of a skill, read when the model asks for it."""

    def __init__(self, read: Callable[[str, str], bytes], skill: str, path: str) -> None:
        super().__init__(name=path)
        self._read = read
        self._skill = skill

    async def read(self, **_: object) -> str:
        content = await asyncio.to_thread(self._read, self._skill, self.name)
        return content.decode("utf-8", "replace")
