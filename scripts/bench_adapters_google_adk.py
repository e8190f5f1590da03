"""google-adk for `bench_adapters.py`: the list of all skills that a model gets, from its own loader, which must load
all of them again to know of an edit, and from our registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.adk.skills import load_skills_from_dir
from google.adk.skills.prompt import format_skills_as_xml
from google.adk.tools.skill_toolset import SkillToolset

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.google_adk import EVERYTHING, SnapshotSkillRegistry


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    yield lambda: format_skills_as_xml([*SkillToolset(skills=load_skills_from_dir(root)).skills])


@contextmanager
def _ours(skills: Workspace, root: Path) -> Iterator[Turn]:
    registry = SnapshotSkillRegistry(skills)
    loop = asyncio.new_event_loop()
    yield lambda: format_skills_as_xml([*loop.run_until_complete(registry.search_skills(query=EVERYTHING))])
    loop.close()


if __name__ == "__main__":
    compare(_own, _ours)
