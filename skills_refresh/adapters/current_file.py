"""One file of a skill, read as it is now for a model that asks for it."""

from __future__ import annotations

from ..skill_content import read_skill_file
from ..workspace import Workspace


def read_current_file(workspace: Workspace, name: str, path: str) -> bytes:
    """The content of the relevant file `path`, relative to the directory of the skill `name`.

    A file that was written a moment ago is waited for by `Workspace.sync`, which blocks. Raises `FileNotFoundError`
    where there is no such file, or it changes all the while; else it raises like `read_skill_file` and, where it must
    wait, like `Workspace.sync`. Safe from any thread. Links out of the roots lead where `Workspace.settings` allow;
    of a workspace of `connect`, whose server keeps its settings to itself, nowhere.
    """
    try:
        return _read(workspace, name, path)
    except FileNotFoundError:
        workspace.sync()
        return _read(workspace, name, path)


def _read(workspace: Workspace, name: str, path: str) -> bytes:
    skill = workspace.snapshot.skills.get(name)
    if skill is None:
        raise FileNotFoundError(f"there is no skill {name!r} any more")
    file = next((file for file in skill.files if file.path == path), None)
    if file is None:
        raise FileNotFoundError(f"the skill {name!r} has no file {path!r} any more")
    return read_skill_file(skill, file, workspace.settings.allow_link_targets)
