"""FastMCP: a `Provider` of the skills of a workspace as MCP resources. Needs `fastmcp`.

The framework's own `SkillsDirectoryProvider` reads and hashes every file once and never again, or, with `reload`, at
every request. This one has the same resources under the same addresses. A `SKILL.md` and the manifests come from
memory; any other file is read when it is asked for, and is what the snapshot says.

A server of the framework cannot tell its clients of a change unless they ask; they see it when they ask next.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from ..errors import ConfigError
from ..filters import SKILL_FILE
from ..model import Skill, SkillFile
from ..workspace import Workspace
from .conversion import ConvertedSkills
from .current_file import read_current_file

try:
    from fastmcp.resources.base import Resource
    from fastmcp.resources.template import ResourceTemplate
    from fastmcp.server.providers.base import Provider
    from fastmcp.utilities.versions import VersionSpec
    from pydantic import AnyUrl, Field, InstanceOf
except ImportError as error:
    raise ConfigError(
        "this adapter needs fastmcp, which is not installed or too old: pip install --upgrade fastmcp"
    ) from error

MANIFEST = "_manifest"
_SCHEME = "skill"
_UNKNOWN_TYPE = "application/octet-stream"

# Reads a file, by the name of its skill and its path therein.
FileReader = Callable[[str, str], bytes]


class SnapshotSkillsProvider(Provider):
    """Offers the skills of `workspace` as resources `skill://NAME/PATH`, in each answer as they are then.

    It takes the place of `SkillsDirectoryProvider`::

        with skills_refresh.watch("skills") as workspace:
            FastMCP("skills", providers=[SnapshotSkillsProvider(workspace)]).run()

    Of each skill there is its `SKILL.md` and a `_manifest` of its relevant files, in which one over 1 MB has no hash.
    The files are reached by a template, or, with `supporting_files="resources"`, are listed too. It subscribes to
    nothing: when the workspace is closed, its last skills stay. It belongs to the event loop of its server.
    """

    def __init__(self, workspace: Workspace, supporting_files: Literal["template", "resources"] = "template") -> None:
        super().__init__()
        self._workspace = workspace
        self._listed_files = supporting_files == "resources"
        read = partial(read_current_file, workspace)
        self._converted = ConvertedSkills(workspace, lambda skill: _offer(skill, read, self._listed_files))

    async def _list_resources(self) -> Sequence[Resource]:
        return [resource for offered in self._converted.current().values() for resource in offered.resources.values()]

    async def _get_resource(self, uri: str, version: VersionSpec | None = None) -> Resource | None:
        offered, path = self._named(uri)
        return None if offered is None else offered.resources.get(path)

    async def _list_resource_templates(self) -> Sequence[ResourceTemplate]:
        return [] if self._listed_files else [offered.template for offered in self._converted.current().values()]

    async def _get_resource_template(self, uri: str, version: VersionSpec | None = None) -> ResourceTemplate | None:
        offered, _ = self._named(uri)
        if offered is None or self._listed_files:
            return None
        return None if offered.template.matches(uri) is None else offered.template

    def _named(self, uri: str) -> tuple[_Offered | None, str]:
        """What is offered of the skill that `uri` names, and the path in it."""
        scheme, _, place = uri.partition("://")
        name, _, path = place.partition("/")
        return (self._converted.current().get(unquote(name)) if scheme == _SCHEME else None), unquote(path)

    def __repr__(self) -> str:
        return f"SnapshotSkillsProvider({self._workspace!r})"


class _SkillResource(Resource):
    """One file of a skill, or its manifest."""

    skill: InstanceOf[Skill] = Field(exclude=True)
    path: str = Field(exclude=True)
    read_file: FileReader = Field(exclude=True)

    async def read(self) -> str | bytes:
        """What the snapshot has of it, or, of a file that is not the `SKILL.md`, the disk."""
        if self.path == MANIFEST:
            return _manifest(self.skill)
        data = await asyncio.to_thread(self.read_file, self.skill.name, self.path)
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
    read_file: FileReader = Field(exclude=True)

    async def create_resource(self, uri: str, params: dict[str, object]) -> Resource:
        """The file that `params` names."""
        return _resource_of(self.skill, str(params["path"]), self.read_file)


class _Offered(NamedTuple):
    """The resources of one skill by their path, and the template for all others."""

    resources: Mapping[str, Resource]
    template: ResourceTemplate


def _offer(skill: Skill, read_file: FileReader, listed_files: bool) -> _Offered:
    others = [file.path for file in skill.files if file.path != SKILL_FILE] if listed_files else []
    template = _SkillFiles(
        uri_template=f"{_prefix(skill)}{{path*}}",
        name=f"{skill.name}_files",
        description=f"Access files within {skill.name}",
        mime_type=_UNKNOWN_TYPE,
        parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        skill=skill,
        read_file=read_file,
    )
    resources = {path: _resource_of(skill, path, read_file) for path in (SKILL_FILE, MANIFEST, *others)}
    return _Offered(resources, template)


def _resource_of(skill: Skill, path: str, read_file: FileReader) -> Resource:
    descriptions = {SKILL_FILE: skill.description, MANIFEST: f"File listing for {skill.name}"}
    return _SkillResource(
        uri=AnyUrl(_prefix(skill) + quote(path)),
        name=f"{skill.name}/{path}",
        description=descriptions.get(path, f"File from {skill.name} skill"),
        mime_type="application/json" if path == MANIFEST else _type_of(path),
        skill=skill,
        path=path,
        read_file=read_file,
    )


def _prefix(skill: Skill) -> str:
    return f"{_SCHEME}://{quote(skill.name, safe='')}/"


def _type_of(path: str) -> str:
    return mimetypes.guess_type(path)[0] or _UNKNOWN_TYPE


def _manifest(skill: Skill) -> str:
    files = [{"path": file.path, "size": file.size, "hash": _hash_of(file)} for file in skill.files]
    return json.dumps({"skill": skill.name, "files": files}, indent=2)


def _hash_of(file: SkillFile) -> str | None:
    return None if file.sha256 is None else f"sha256:{file.sha256}"
