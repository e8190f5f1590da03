"""The discovery index at `/.well-known/agent-skills/`, version 0.2.0 of the Agent Skills Discovery specification: what
skill installers read to learn which skills there are, where each is, and its digest.

A skill of a single file is offered as its `SKILL.md`, one with more files as an archive. An archive's digest can only
be told when it was made; it is kept as long as the skill is the same.
"""

from __future__ import annotations

from hashlib import sha256

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ..model import Skill, Snapshot
from . import answers
from .archives import can_archive, make_archive
from .bodies import to_json
from .context import Context
from .refusals import Refusal
from .routes import NOT_MODIFIED, matches, not_modified, refusals, text

SCHEMA = "https://schemas.agentskills.io/discovery/0.2.0/schema.json"
PATH = "/.well-known/agent-skills"
ARCHIVE = "application/gzip"


def add_discovery(router: APIRouter, context: Context) -> None:
    """Adds the index and what it leads to."""
    digests: dict[str, tuple[Skill, str]] = {}

    def snapshot_of(request: Request) -> Snapshot:
        served = context.served(request.path_params.get("workspace", ""))
        if served.hub is None:
            raise Refusal(503, "skills are being read for the first time", "Ask again in a second.", retry_after=1)
        return served.hub.snapshot

    def archive(skill: Skill) -> bytes:
        data = make_archive(skill, context.settings.allow_link_targets)
        digests[skill.name] = (skill, f"sha256:{sha256(data).hexdigest()}")
        return data

    def entry(skill: Skill) -> dict[str, str] | None:
        described = {"name": skill.name, "description": skill.description}
        if not can_archive(skill):
            return {**described, "type": "skill-md", "url": f"{skill.name}/SKILL.md", "digest": skill.digest}
        try:
            if digests.get(skill.name, (None, ""))[0] is not skill:
                archive(skill)
        except Refusal:
            return None  # it is changing just now, and will be told a moment later
        return {**described, "type": "archive", "url": f"{skill.name}.tar.gz", "digest": digests[skill.name][1]}

    def index_of(snapshot: Snapshot) -> bytes:
        for name in digests.keys() - snapshot.skills.keys():
            del digests[name]
        entries = [found for found in map(entry, snapshot.skills.values()) if found is not None]
        return to_json({"$schema": SCHEMA, "skills": entries})

    @router.get(PATH + "/index.json", response_model=answers.IndexAnswer, summary="What can be installed")
    async def index(request: Request) -> Response:
        """The skills that there are, with the place and the digest of each."""
        return Response(await run_in_threadpool(index_of, snapshot_of(request)), media_type="application/json")

    @router.get(
        PATH + "/{name}/SKILL.md",
        response_class=Response,
        responses={**text("text/markdown", "---\nname: pdf\n---\n"), **NOT_MODIFIED, **refusals(404)},
        summary="The SKILL.md of a skill",
    )
    async def skill_file(request: Request, name: str) -> Response:
        """The bytes of `SKILL.md`."""
        found = _find(snapshot_of(request), name)
        etag = f'"{found.digest}"'
        if matches(request.headers.get("if-none-match"), etag):
            return not_modified(etag)
        return Response(found.source, 200, {"etag": etag}, "text/markdown")

    @router.get(
        PATH + "/{name}.tar.gz",
        response_class=Response,
        responses={**text(ARCHIVE, "", format="binary"), **refusals(404, 409)},
        summary="A skill as an archive",
    )
    async def skill_archive(request: Request, name: str) -> Response:
        """All relevant files of a skill that has more than its `SKILL.md`."""
        found = _find(snapshot_of(request), name)
        if not can_archive(found):
            raise Refusal(404, f"the skill {name!r} is not offered as an archive", "Take its SKILL.md.")
        return Response(await run_in_threadpool(archive, found), media_type=ARCHIVE)


def _find(snapshot: Snapshot, name: str) -> Skill:
    found = snapshot.skills.get(name)
    if found is None:
        raise Refusal(404, f"there is no skill {name[:100]!r}", "The index names those that there are.")
    return found
