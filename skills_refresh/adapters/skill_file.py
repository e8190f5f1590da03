"""One file of a skill, read for a model that asks for it: exactly what the workspace knows, or nothing.

A snapshot holds the hash of every relevant file, not its bytes. What is read is compared with that hash, so whatever a
path leads to by now, a link that was swapped in or a file half written, nothing is handed out that the engine has not
read and judged.
"""

from __future__ import annotations

import os

from ..filters import SKILL_FILE
from ..model import Skill
from ..reading import MAX_HASHED_BYTES, read_file
from ..workspace import Workspace


def read_skill_file(workspace: Workspace, name: str, path: str) -> bytes:
    """The content of the relevant file `path`, relative to the directory of the skill `name`, as it is now.

    A file that was written a moment ago is waited for by `Workspace.sync`, which blocks. Safe from any thread. Raises
    `ValueError`, whose message is for a model, where there is no such file, where it is over 1 MB or cannot be read,
    and where it is being written all the while.
    """
    content = _read(workspace, name, path)
    if content is None:
        workspace.sync()
        content = _read(workspace, name, path)
    if content is None:
        raise ValueError(f"{path} is being changed: ask for it once more")
    return content


def _read(workspace: Workspace, name: str, path: str) -> bytes | None:
    """The content, or None where it is not what the snapshot says."""
    skill = workspace.snapshot.skills.get(name)
    if skill is None:
        raise ValueError(f"there is no skill {name!r} any more: ask for the list of skills")
    if path == SKILL_FILE:
        return skill.source
    known = next((file for file in skill.files if file.path == path), None)
    if known is None:
        raise ValueError(f"the skill {name!r} has no file {path!r} any more: load the skill once more")
    if known.sha256 is None:
        raise ValueError(f"{path} is over {MAX_HASHED_BYTES:,} bytes, or cannot be read: open it from the disk")
    return _content(skill, path, known.sha256)


def _content(skill: Skill, path: str, sha256: str) -> bytes | None:
    target = os.path.realpath(skill.directory / path)
    try:
        entry = read_file(target, None, os.stat(os.path.dirname(target)).st_uid, MAX_HASHED_BYTES)
    except OSError:
        return None
    return entry.data if entry.sha256 == sha256 else None
