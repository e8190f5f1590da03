"""Google ADK: a `SkillRegistry`, in which a model finds and loads the skills of a workspace. Needs `google-adk`.

The framework's own loader reads all skills once, for a toolset that is then fixed, and stops at the first that is
malformed. A registry is asked at every turn. This one searches in memory; the files of a skill are read when it is
first loaded, and kept while no byte of it changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import ConfigError, SkillsRefreshError
from ..freezing import plain
from ..model import Skill
from ..skill_content import read_skill_file
from ..workspace import Workspace
from .conversion import ConvertedSkills

try:
    from google.adk.skills import Frontmatter, Resources, Script, SkillRegistry
    from google.adk.skills import Skill as LoadedSkill
    from pydantic import ValidationError
except ImportError as error:
    raise ConfigError(
        "this adapter needs google-adk, which is not installed or too old: pip install --upgrade google-adk"
    ) from error

# What a query finds at most: a model reads all of it.
MAX_FOUND = 20
EVERYTHING = "*"

_DESCRIPTION = (
    "Finds skills by words of their names and descriptions, best first. Skills can be added and edited at any time, so "
    f'search anew when one is needed; the query "{EVERYTHING}" lists all there are.'
)

_log = logging.getLogger("skills_refresh")


class SnapshotSkillRegistry(SkillRegistry):
    """Finds and loads the skills of `workspace`, in each turn as they are when it asks.

    It takes the place of the skills that a `SkillToolset` is made with::

        with skills_refresh.watch("skills") as workspace:
            toolset = SkillToolset(registry=SnapshotSkillRegistry(workspace))
            agent = LlmAgent(name="writer", model=..., tools=[toolset])

    The model searches it; ADK's own tool `list_skills` lists none. Only relevant files are among a skill's references,
    assets and scripts: `Settings(extensions=[".png"])` adds images. A skill that ADK does not accept is left out, which
    is logged once. It subscribes to nothing: when the workspace is closed, its last skills stay. It belongs to one
    event loop.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._accepted = ConvertedSkills(workspace, _accepted)

    async def get_skill(self, *, name: str) -> LoadedSkill:
        """The skill `name` with its relevant files; None where there is none.

        None, because ADK asks at every turn for what a session has loaded, and takes all skill tools from the model
        when that raises: a skill that was deleted must not do so.
        """
        accepted = self._accepted.current().get(name)
        if accepted is not None and accepted.loaded is not None:
            return accepted.loaded
        return await asyncio.to_thread(self._load, name)

    async def search_skills(self, *, query: str) -> list[Frontmatter]:
        """The skills whose names and descriptions have most of the words in `query`, at most `MAX_FOUND`; all for
        `"*"`."""
        accepted = self._accepted.current().values()
        if query == EVERYTHING:
            return [each.frontmatter for each in accepted]
        words = query.lower().split()
        ranked = sorted(accepted, key=lambda each: _hits(words, each.skill), reverse=True)
        return [each.frontmatter for each in ranked[:MAX_FOUND] if any(_hits(words, each.skill))]

    def search_tool_description(self) -> str:
        """What the model reads of the tool that searches."""
        return _DESCRIPTION

    def _load(self, name: str) -> LoadedSkill | None:
        try:
            return self._read(name)
        except FileNotFoundError:  # it was written a moment ago, or is gone
            with suppress(SkillsRefreshError):  # of a workspace that was closed, or whose server is away
                self._workspace.sync()
            return self._read(name, leave_out=True)

    def _read(self, name: str, *, leave_out: bool = False) -> LoadedSkill | None:
        """The skill `name` with its files. Raises `FileNotFoundError` for one that is another by now, or leaves it
        out."""
        accepted = self._accepted.current().get(name)
        if accepted is None:
            return None
        skill, link_targets = accepted.skill, self._workspace.settings.allow_link_targets
        settled = True
        found: dict[str, dict[str, str | bytes]] = {"references": {}, "assets": {}, "scripts": {}}
        for file in skill.files:
            directory, _, path = file.path.partition("/")
            if directory not in found:
                continue
            try:
                found[directory][path] = _text_or_bytes(read_skill_file(skill, file, link_targets))
            except (OSError, ValueError) as error:
                if isinstance(error, FileNotFoundError) and not leave_out:
                    raise
                settled = settled and not isinstance(error, OSError)  # that may be over the next time
                _log.warning("the skill %r is loaded without a file of it: %s", name, error)
        scripts = {path: Script(src=text) for path, text in found.pop("scripts").items() if isinstance(text, str)}
        resources = Resources(references=found["references"], assets=found["assets"], scripts=scripts)
        loaded = LoadedSkill(
            frontmatter=accepted.frontmatter, instructions=skill.instructions().strip(), resources=resources
        )
        if settled:
            accepted.loaded = loaded
        return loaded


@dataclass
class _Accepted:
    """A skill with its frontmatter in ADK's form, and all of it once somebody has loaded it."""

    skill: Skill
    frontmatter: Frontmatter
    loaded: LoadedSkill | None = None


def _accepted(skill: Skill) -> _Accepted:
    """`skill` in ADK's form. Raises `ValueError` where ADK does not accept it."""
    fields = {field: plain(value) for field, value in skill.frontmatter.items()}
    try:
        return _Accepted(skill, Frontmatter.model_validate(fields | {"name": skill.name}))
    except ValidationError as error:
        raise ValueError("; ".join(str(each["msg"]) for each in error.errors())) from error


def _hits(words: Sequence[str], skill: Skill) -> tuple[int, int]:
    """How many of `words` are in the name or the description of `skill`, and how many in its name."""
    name, both = skill.name.lower(), f"{skill.name} {skill.description}".lower()
    return sum(word in both for word in words), sum(word in name for word in words)


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return data
