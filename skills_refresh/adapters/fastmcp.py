"""fastmcp: a provider of skills as MCP resources, from the snapshot in memory.

fastmcp's own `SkillsDirectoryProvider` reads and hashes every file once and never again, or, with `reload`, at every
request. This one has the same resources under the same addresses. A `SKILL.md` and the manifests come from memory; any
other file is read when it is asked for, and is what the snapshot says.

A server of fastmcp cannot tell its clients that something changed unless they ask; they see it when they ask next.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from ..errors import ConfigError
from ..filters import SKILL_FILE
from ..model import Skill, SkillFile, Snapshot
from ..skill_content import read_skill_file
from ..workspace import Workspace

try:
    from fastmcp.resources.base import Resource
    from fastmcp.resources.template import ResourceTemplate
    from fastmcp.server.providers.base import Provider
    from fastmcp.utilities.versions import VersionSpec
    from pydantic import AnyUrl, Field, InstanceOf
except ModuleNotFoundError as error:
    if error.name != "fastmcp":
        raise
    raise ConfigError("this adapter needs fastmcp, which is not installed: pip install fastmcp") from error

MANIFEST = "_manifest"
_SCHEME = "skill://"
_UNKNOWN_TYPE = "application/octet-stream"


class SnapshotSkillsProvider(Provider):
    """Offers the skills of `skills`, a workspace that was started, as resources `skill://NAME/PATH`.

    Of each skill these are its `SKILL.md` and a `_manifest` of its relevant files, in which one over 1 MB has no hash.
    The files are reached by a template, or, with `supporting_files="resources"`, are listed too. `link_targets` are the
    workspace's `Settings.allow_link_targets`. It belongs to the event loop of its server::

        with skills_refresh.watch("skills") as skills:
            FastMCP("skills", providers=[SnapshotSkillsProvider(skills)]).run()
    """

    def __init__(
        self,
        skills: Workspace,
        supporting_files: Literal["template", "resources"] = "template",
        *,
        link_targets: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self._source = _Source(skills, tuple(link_targets))
        self._listed_files = supporting_files == "resources"
        self._last: tuple[Snapshot | None, Mapping[str, _Offered]] = (None, {})

    async def _list_resources(self) -> Sequence[Resource]:
        return [resource for offered in self._offered().values() for resource in offered.resources.values()]

    async def _get_resource(self, uri: str, version: VersionSpec | None = None) -> Resource | None:
        offered, path = self._named(uri)
        return None if offered is None else offered.resources.get(path)

    async def _list_resource_templates(self) -> Sequence[ResourceTemplate]:
        return [] if self._listed_files else [offered.template for offered in self._offered().values()]

    async def _get_resource_template(self, uri: str, version: VersionSpec | None = None) -> ResourceTemplate | None:
        offered, path = self._named(uri)
        if offered is None or self._listed_files or path in offered.resources:
            return None
        return None if offered.template.matches(uri) is None else offered.template

    def _named(self, uri: str) -> tuple[_Offered | None, str]:
        """What is offered of the skill that `uri` names, and the path in it."""
        name, _, path = uri.removeprefix(_SCHEME).partition("/")
        return (self._offered().get(unquote(name)) if uri.startswith(_SCHEME) else None), unquote(path)

    def _offered(self) -> Mapping[str, _Offered]:
        """What is offered of each skill; of one that did not change, the same objects as before."""
        snapshot, known = self._source.skills.snapshot, self._last[1]
        if self._last[0] is not snapshot:
            offered = {}
            for name, skill in snapshot.skills.items():
                before = known.get(name)
                if before is None or before.skill is not skill:
                    before = _offer(skill, self._source, self._listed_files)
                offered[name] = before
            self._last = (snapshot, offered)
        return self._last[1]

    def __repr__(self) -> str:
        return f"SnapshotSkillsProvider({self._source.skills!r})"


class _Source(NamedTuple):
    """Where files are from."""

    skills: Workspace
    link_targets: tuple[Path, ...]

    def read(self, name: str, path: str) -> bytes:
        """The file `path` of the skill `name`, as it is in the snapshot. Raises `FileNotFoundError` where it is not in
        there; for its other errors see `read_skill_file`."""
        try:
            return self._read(name, path)
        except FileNotFoundError:
            self.skills.sync()  # it was written a moment ago, or is gone
            return self._read(name, path)

    def _read(self, name: str, path: str) -> bytes:
        skill = self.skills.snapshot.skills.get(name)
        file = next((file for file in skill.files if file.path == path), None) if skill is not None else None
        if skill is None or file is None:
            raise FileNotFoundError(f"the skill {name!r} has no relevant file {path}")
        return read_skill_file(skill, file, self.link_targets)


class _SkillResource(Resource):
    """One file of a skill, or its manifest."""

    skill: InstanceOf[Skill] = Field(exclude=True)
    path: str = Field(exclude=True)
    source: InstanceOf[_Source] = Field(exclude=True)

    async def read(self) -> str | bytes:
        """What the snapshot has of it, or, of a file that is not the `SKILL.md`, the disk."""
        if self.path == MANIFEST:
            return _manifest(self.skill)
        data = await asyncio.to_thread(self.source.read, self.skill.name, self.path)
        return data.decode("utf-8", "replace") if _type_of(self.path).startswith("text/") else data

    def get_meta(self) -> dict[str, object]:
        """What fastmcp tells of it, and, as its own provider does, of which skill it is."""
        meta: dict[str, object] = super().get_meta()
        told: dict[str, object] = {"name": self.skill.name}
        if self.path in (SKILL_FILE, MANIFEST):
            told["is_manifest"] = self.path == MANIFEST
        known = meta["fastmcp"]
        return meta | {"fastmcp": {**(known if isinstance(known, dict) else {}), "skill": told}}


class _SkillFiles(ResourceTemplate):
    """The files of a skill, by their path."""

    skill: InstanceOf[Skill] = Field(exclude=True)
    source: InstanceOf[_Source] = Field(exclude=True)

    async def create_resource(self, uri: str, params: dict[str, object]) -> Resource:
        """The file that `params` names."""
        return _resource_of(self.skill, str(params["path"]), self.source)


class _Offered(NamedTuple):
    """The resources of one skill by their path, and the template for all others."""

    skill: Skill
    resources: Mapping[str, Resource]
    template: ResourceTemplate


def _offer(skill: Skill, source: _Source, listed_files: bool) -> _Offered:
    others = [file.path for file in skill.files if file.path != SKILL_FILE] if listed_files else []
    template = _SkillFiles(
        uri_template=f"{_prefix(skill)}{{path*}}",
        name=f"{skill.name}_files",
        description=f"Access files within {skill.name}",
        mime_type=_UNKNOWN_TYPE,
        parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        skill=skill,
        source=source,
    )
    return _Offered(
        skill, {path: _resource_of(skill, path, source) for path in (SKILL_FILE, MANIFEST, *others)}, template
    )


def _resource_of(skill: Skill, path: str, source: _Source) -> Resource:
    descriptions = {SKILL_FILE: skill.description, MANIFEST: f"File listing for {skill.name}"}
    return _SkillResource(
        uri=AnyUrl(_prefix(skill) + quote(path)),
        name=f"{skill.name}/{path}",
        description=descriptions.get(path, f"File from {skill.name} skill"),
        mime_type="application/json" if path == MANIFEST else _type_of(path),
        skill=skill,
        path=path,
        source=source,
    )


def _prefix(skill: Skill) -> str:
    return f"{_SCHEME}{quote(skill.name, safe='')}/"


def _type_of(path: str) -> str:
    # Not every machine's table knows the type that skills are written in.
    return "text/markdown" if path.endswith(".md") else mimetypes.guess_type(path)[0] or _UNKNOWN_TYPE


def _manifest(skill: Skill) -> str:
    files = [{"path": file.path, "size": file.size, "hash": _hash_of(file)} for file in skill.files]
    return json.dumps({"skill": skill.name, "files": files}, indent=2)


def _hash_of(file: SkillFile) -> str | None:
    return None if file.sha256 is None else f"sha256:{file.sha256}"
