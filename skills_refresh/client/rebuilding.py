"""A snapshot is made again from what a server says of it. Pure.

What did not change stays the same object, so that changes are found, and memory is shared, as where nothing came over
a connection.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..freezing import frozen
from ..health import RootHealth
from ..layered import LayeredMapping, layered
from ..layers import FoundProblems
from ..model import HiddenSkill, Skill, SkillFile, Snapshot, skill_identity
from ..problems import Problem


def rebuild(answer: Mapping[str, Any], known: Snapshot | None) -> Snapshot:
    """The snapshot that `answer` (see `encoding.complete_json`) tells of, which may say only what differs from `known`.

    Raises `KeyError`, `TypeError` or `ValueError` for an answer that is not as it should be.
    """
    had = {} if known is None else known.skills_dict()
    skills = {} if answer["previous"] is None else dict(had)
    for name in answer["removed"]:
        skills.pop(name, None)
    for told in answer["skills"]:
        skill = _skill(told)
        skills[skill.name] = _same_or_new(skill, had.get(skill.name))
    if skills.keys() != had.keys():
        skills = dict(sorted(skills.items()))
    problems = tuple(
        Problem(told["code"], told["severity"], Path(told["path"]), told["message"]) for told in answer["problems"]
    )
    files = {path: SkillFile(*told) for path, told in answer["files"].items()}
    hidden: dict[str, HiddenSkill] = {}
    for told in answer.get("hidden", ()):
        skill = _same_or_new(_skill(told["skill"]), None if known is None else _hidden_skill(known, told))
        hidden[skill.name] = HiddenSkill(skill, str(told["reason"]))
    return Snapshot(
        version=int(answer["version"]),
        prompt_version=int(answer["prompt_version"]),
        skills=LayeredMapping((skills,)),
        find_problems=(
            known.find_problems if known is not None and known.problems == problems else FoundProblems((problems,))
        ),
        files=known.files if known is not None and known.files == files else layered(files),
        hidden=known.hidden if known is not None and known.hidden == hidden else layered(hidden),
    )


def tells_the_same(before: Snapshot, after: Snapshot) -> bool:
    """Whether nothing but versions differs between two snapshots that `rebuild` made one after the other."""
    return (
        before.skills == after.skills
        and before.problems == after.problems
        and before.files == after.files
        and before.hidden == after.hidden
    )


def later_than(before: Snapshot, after: Snapshot) -> Snapshot:
    """`after`, with versions later than those of `before` where its own are not.

    A server that was started again after its clock was set back counts from an earlier number. Whoever keeps a version
    here must not take what is new for something old, so these go on by one, until the server's are greater again.
    """
    if after.version > before.version and after.prompt_version >= before.prompt_version:
        return after
    version = max(after.version, before.version + 1)
    same_prompt = before.prompt() == after.prompt()
    return replace(after, version=version, prompt_version=before.prompt_version if same_prompt else version)


def rebuild_health(told: Mapping[str, Any]) -> RootHealth:
    """A root's health as `encoding.health_json` says it. Raises like `rebuild`."""
    return RootHealth(Path(told["path"]), *(told[field] for field in RootHealth._fields[1:]))


def _skill(told: Mapping[str, Any]) -> Skill:
    try:
        source = b64decode(told["source"], validate=True)
    except binascii.Error as error:
        raise ValueError("a source is not base64") from error
    digest = f"sha256:{sha256(source).hexdigest()}"
    return Skill(
        name=told["name"],
        description=told["description"],
        root=Path(told["root"]),
        relative_location=told["relative_location"],
        digest=digest,
        files=tuple(SkillFile(*file) for file in told["files"]),
        frontmatter=MappingProxyType({name: frozen(value) for name, value in told["frontmatter"].items()}),
        source=source,
        body_offset=told["body_offset"],
        identity=skill_identity(told["name"], told["relative_location"], digest),
    )


def _hidden_skill(known: Snapshot, told: Mapping[str, Any]) -> Skill | None:
    """The skill in `known`, hidden or not, that may be the one that is told as hidden."""
    name = told["skill"]["name"]
    return known.hidden[name].skill if name in known.hidden else known.skills.get(name)


def _same_or_new(skill: Skill, before: Skill | None) -> Skill:
    return before if before is not None and _fields(before) == _fields(skill) else skill


def _fields(skill: Skill) -> tuple[object, ...]:
    """All that a skill is made of; the digests follow from it."""
    return (
        skill.name,
        skill.description,
        skill.root,
        skill.relative_location,
        skill.files,
        skill.frontmatter,
        skill.source,
        skill.body_offset,
    )
