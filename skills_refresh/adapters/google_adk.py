"""google-adk: a registry for its `SkillToolset`, in which the model finds and loads the current skills.

ADK reads skills once, when its toolset is made, and refuses all for one that is malformed. A registry is asked at every
turn. This one finds from memory; the files of a skill are read when it is first loaded, and kept while it stays as it
is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..encoding import plain
from ..errors import ConfigError
from ..model import Skill
from ..skill_content import read_skill_file
from ..workspace import Workspace

try:
    from google.adk.skills import Frontmatter, Resources, Script, SkillRegistry
    from google.adk.skills import Skill as LoadedSkill
    from pydantic import ValidationError
except ModuleNotFoundError as error:
    if error.name not in ("google", "google.adk", "google.adk.skills"):
        raise
    raise ConfigError("this adapter needs google-adk 2, which is not installed: pip install google-adk") from error

# What a query finds at most: a model reads all of it.
MAX_FOUND = 20
EVERYTHING = "*"

_DESCRIPTION = (
    "Finds skills by words of their names and descriptions, best first. Skills can be added and edited at any time, so "
    f'search anew when one is needed; the query "{EVERYTHING}" lists all there are.'
)

_log = logging.getLogger("skills_refresh")


class SnapshotSkillRegistry(SkillRegistry):
    """Finds and loads the skills of `skills`, a workspace that was started.

    Only relevant files are among a skill's references, assets and scripts: `Settings(extensions=[".png"])` adds images.
    `link_targets` are the workspace's `Settings.allow_link_targets`. A skill that ADK does not accept is left out, and
    logged once. It belongs to the event loop of its runner::

        with skills_refresh.watch("skills") as skills:
            toolset = SkillToolset(registry=SnapshotSkillRegistry(skills))
            agent = LlmAgent(name="writer", model=…, tools=[toolset])
    """

    def __init__(self, skills: Workspace, *, link_targets: Sequence[Path] = ()) -> None:
        self._skills = skills
        self._link_targets = tuple(link_targets)
        self._frontmatters: dict[str, tuple[Skill, Frontmatter | None]] = {}
        self._loaded: dict[str, tuple[Skill, LoadedSkill]] = {}

    async def get_skill(self, *, name: str) -> LoadedSkill:
        """The skill `name` with its relevant files; None where there is none.

        None, because ADK asks at every turn for what a session has loaded, and takes all skill tools from the model
        when that raises: a skill that was deleted must not do so.
        """
        known = self._loaded.get(name)
        if known is not None and known[0] is self._skills.snapshot.skills.get(name):
            return known[1]
        loaded: LoadedSkill = await asyncio.to_thread(self._load, name)
        return loaded

    async def search_skills(self, *, query: str) -> list[Frontmatter]:
        """The skills whose names and descriptions have most of the words in `query`, at most `MAX_FOUND`; all for
        `"*"`."""
        words = query.lower().split()
        found = []
        for name, skill in self._skills.snapshot.skills.items():
            frontmatter = self._frontmatter(skill)
            text = f"{name} {skill.description}".lower()
            hits, in_name = (sum(word in place for word in words) for place in (text, name.lower()))
            if frontmatter is not None and (hits or query == EVERYTHING):
                found.append((-hits, -in_name, name, frontmatter))
        found.sort(key=lambda each: each[:3])
        return [each[3] for each in (found if query == EVERYTHING else found[:MAX_FOUND])]

    def search_tool_description(self) -> str:
        """What the model reads of the tool that searches."""
        return _DESCRIPTION

    def _load(self, name: str) -> Any:
        try:
            return self._read(self._skills.snapshot.skills.get(name), name)
        except FileNotFoundError:  # it was written a moment ago, or is gone
            return self._read(self._skills.sync().skills.get(name), name, leave_out=True)

    def _read(self, skill: Skill | None, name: str, *, leave_out: bool = False) -> LoadedSkill | None:
        """`skill` with its files. Raises `FileNotFoundError` for one that is another by now, or leaves it out."""
        frontmatter = None if skill is None else self._frontmatter(skill)
        if skill is None or frontmatter is None:
            self._loaded.pop(name, None)
            return None
        found: dict[str, dict[str, str | bytes]] = {"references": {}, "assets": {}, "scripts": {}}
        for file in skill.files:
            directory, _, path = file.path.partition("/")
            if directory not in found:
                continue
            try:
                found[directory][path] = _text_or_bytes(read_skill_file(skill, file, self._link_targets))
            except (OSError, ValueError) as error:
                if isinstance(error, FileNotFoundError) and not leave_out:
                    raise
                _log.warning("the skill %r is loaded without a file of it: %s", name, error)
        scripts = {path: Script(src=text) for path, text in found.pop("scripts").items() if isinstance(text, str)}
        resources = Resources(references=found["references"], assets=found["assets"], scripts=scripts)
        loaded = LoadedSkill(frontmatter=frontmatter, instructions=skill.instructions().strip(), resources=resources)
        self._loaded[name] = (skill, loaded)
        return loaded

    def _frontmatter(self, skill: Skill) -> Frontmatter | None:
        """The frontmatter of `skill` in ADK's form; None where ADK does not accept it."""
        known = self._frontmatters.get(skill.name)
        if known is not None and known[0] is skill:
            return known[1]
        fields = {field: plain(value) for field, value in skill.frontmatter.items()}
        try:
            made = Frontmatter.model_validate(fields | {"name": skill.name})
        except ValidationError as error:
            reasons = "; ".join(str(each["msg"]) for each in error.errors())
            _log.warning("google-adk does not accept %s, which is left out: %s", skill.location, reasons)
            made = None
        self._frontmatters[skill.name] = (skill, made)
        return made


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data
