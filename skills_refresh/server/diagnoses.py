"""`Diagnoses`: what `doctor` tells of a served workspace, made on another thread, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from ..diagnosis import diagnose
from ..encoding import path_json
from ..fresh_scan import scan_roots
from ..watching.limits import kernel_watches, limit_for
from ..workspace import Workspace
from .bodies import to_json
from .threads import in_thread

# Looking closely reads every root anew: once in so many seconds, however many ask.
KEPT_S = 60.0


class _Diagnosis(NamedTuple):
    """What `doctor` tells of a workspace, from when on."""

    workspace: Workspace
    began: float
    task: asyncio.Task[bytes]


class Diagnoses:
    """The last one of each workspace, by its name. Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: dict[str, _Diagnosis] = {}

    async def of(self, name: str, workspace: Workspace) -> bytes:
        """What `doctor` tells of `workspace`, which is served as `name`, as JSON."""
        known = self._known.get(name)
        failed = known is not None and known.task.done() and known.task.exception() is not None
        if known is None or failed or known.workspace is not workspace or time.monotonic() - known.began > KEPT_S:
            task = asyncio.create_task(in_thread(_look_closely, workspace))
            known = self._known[name] = _Diagnosis(workspace, time.monotonic(), task)
        return await asyncio.shield(known.task)


def _look_closely(workspace: Workspace) -> bytes:
    _, opened = scan_roots(workspace.roots, workspace.settings)
    limit = limit_for("watch-limit")
    roots = [
        {
            "path": path_json(found.path),
            "directories": found.directories,
            "files": found.files,
            "pruned": [pruned._asdict() | {"path": path_json(pruned.path)} for pruned in found.pruned],
        }
        for found in map(diagnose, opened)
    ]
    watches = {"kernel_watches": kernel_watches(), "max_user_watches": None if limit is None else limit.value}
    return to_json({"roots": roots, **watches})
