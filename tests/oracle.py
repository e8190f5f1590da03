"""The oracle: a live workspace must equal a fresh scan of the same roots."""

from __future__ import annotations

from skills_refresh import Settings, Snapshot, Workspace, scan


def assert_fresh(workspace: Workspace, settings: Settings | None = None) -> None:
    """Fails where `workspace` differs from what a fresh scan finds now.

    While the workspace keeps a skill in its last good version, which no fresh scan can know, that skill's name and
    files are left out.
    """
    live = workspace.snapshot
    fresh, files_digest = scan(workspace.roots, settings)
    stale = {str(found.path.parent) for found in live.problems if found.code == "stale"}
    kept = {name for name, skill in live.skills.items() if str(skill.directory) in stale}
    assert _seen(live, stale, kept) == _seen(fresh, stale, kept)
    if not stale:
        assert live.digest == fresh.digest
        assert live.prompt() == fresh.prompt()
    assert workspace.files_digest() == files_digest


def _seen(snapshot: Snapshot, stale: set[str], kept: set[str]) -> dict[str, object]:
    return {
        "skills": {
            name: (str(skill.location), skill.digest, skill.files, skill.instructions())
            for name, skill in snapshot.skills.items()
            if name not in kept
        },
        "problems": [
            found for found in snapshot.problems if found.code != "stale" and not (stale and found.code == "shadowed")
        ],
        "files": {
            path: file
            for path, file in snapshot.files.items()
            if not any(path.startswith(directory + "/") for directory in stale)
        },
    }
