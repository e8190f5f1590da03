"""The discovery index at `/.well-known/agent-skills/`, version 0.2.0 of the Agent Skills Discovery specification: what
skill installers read to learn which skills there are, where each is, and its digest.

A skill of a single file is offered as its `SKILL.md`, one with more files as an archive. An archive's digest can only
be told when it was made; it is kept as long as the skill is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..model import Skill, Snapshot
from . import answers
from .archives import can_archive, make_archive
from .bodies import to_json
from .context import Context
from .pieces import PiecewiseResponse
from .refusals import Refusal
from .responses import NOT_MODIFIED, matches, not_modified, refusals, text
from .served import ServedWorkspace
from .skill_files import find_skill
from .threads import in_thread

SCHEMA = "https://schemas.agentskills.io/discovery/0.2.0/schema.json"
PATH = "/.well-known/agent-skills"
ARCHIVE = "application/gzip"
# An archive takes a processor and its size in memory, a few times over; more at once would help nobody.
MAX_ARCHIVING = 2


def add_discovery(router: APIRouter, context: Context) -> None:
    """Adds the index and what it leads to."""
    # By workspace. Each is replaced as a whole: several threads may make an index at once.
    digests: dict[str, dict[str, tuple[Skill, str]]] = {}
    archiving = asyncio.Semaphore(MAX_ARCHIVING)

    def digest_of(
        skill: Skill, known: tuple[Skill, str] | None, link_targets: Sequence[Path]
    ) -> tuple[Skill, str] | None:
        if known is not None and known[0] is skill:
            return known
        try:
            data = make_archive(skill, link_targets)
        except Refusal as refusal:
            if refusal.status == HTTPStatus.FORBIDDEN:  # that may last: its SKILL.md can be had all the same
                return skill, ""
            return None  # it is changing just now, and will be told a moment later
        return skill, f"sha256:{sha256(data).hexdigest()}"

    def index_of(served: ServedWorkspace, snapshot: Snapshot) -> bytes:
        before, after, entries = digests.get(served.name, {}), {}, []
        link_targets = served.current.settings.allow_link_targets
        for name, skill in snapshot.skills.items():
            if not _is_text(name):
                continue  # no address leads to it
            described = {"name": name, "description": skill.description}
            place = quote(name, safe="")
            found = digest_of(skill, before.get(name), link_targets) if can_archive(skill) else (skill, "")
            if found is None:
                continue
            after[name] = found
            if found[1]:
                entries.append({**described, "type": "archive", "url": f"{place}.tar.gz", "digest": found[1]})
            else:
                entries.append({**described, "type": "skill-md", "url": f"{place}/SKILL.md", "digest": skill.digest})
        digests[served.name] = after
        return to_json({"$schema": SCHEMA, "skills": entries})

    @router.get(PATH + "/index.json", response_model=answers.IndexAnswer, summary="What can be installed")
    async def index(request: Request) -> Response:
        """The skills that there are, with the place and the digest of each."""
        served, hub = context.ready(request)
        current = hub.snapshot
        # Kept for this version, so that many who ask at once do not make as many archives of everything.
        body = await served.bodies.get((current.version, "index"), lambda: index_of(served, current), compressed=False)
        return PiecewiseResponse(body.data, media_type="application/json")

    @router.get(
        PATH + "/{name}/SKILL.md",
        response_class=Response,
        responses={**text("text/markdown", "---\nname: pdf\n---\n"), **NOT_MODIFIED, **refusals(404)},
        summary="The SKILL.md of a skill",
    )
    async def skill_file(request: Request, name: str) -> Response:
        """The bytes of `SKILL.md`."""
        found = find_skill(context.ready(request)[1].snapshot, name)
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
        served, hub = context.ready(request)
        found = find_skill(hub.snapshot, name)
        if not can_archive(found):
            raise Refusal(404, f"the skill {name!r} is not offered as an archive", "Take its SKILL.md.")
        async with archiving:
            data = await in_thread(make_archive, found, served.current.settings.allow_link_targets)
        return PiecewiseResponse(data, 200, {"etag": f'"sha256:{sha256(data).hexdigest()}"'}, ARCHIVE)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False  # the name of a directory that is no UTF-8
    return True
