"""One file of a skill, for whoever asks: only what the snapshot lists, and only as the snapshot knows it.

The path is looked up among the skill's relevant files, so no spelling of it leads anywhere else; the file is then
opened as the engine opens files, below the roots and the allowed link targets and never through a link that was swapped
in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..filters import SKILL_FILE
from ..model import Skill, SkillFile, Snapshot
from ..opening import DirectoryOpener, is_below
from ..reading import FileEntry, read_target
from .refusals import Refusal

# Files up to this size are served. Larger ones are no reading for a model.
MAX_SERVED_BYTES = 16_000_000
# What the guard leaves encoded.
_ENCODED = re.compile("%(2F|25)")


def decode_name(text: str) -> str:
    """A name or a path from an address, of which the guard left slashes and percent signs encoded."""
    return _ENCODED.sub(lambda match: "/" if match[1] == "2F" else "%", text)


def find_skill(snapshot: Snapshot, name: str) -> Skill:
    """The skill called `name`, as it stands in an address: a slash in it is encoded. Raises `Refusal` where there is
    none."""
    found = snapshot.skills.get(decode_name(name))
    if found is None:
        raise Refusal(404, f"there is no skill {name[:100]!r}", "Ask for the snapshot to see which there are.")
    return found


def find_file(skill: Skill, path: str) -> SkillFile:
    """The relevant file of `skill` at the relative `path`, in which slashes may be encoded. Raises `Refusal` where
    there is none."""
    path = decode_name(path)
    found = next((file for file in skill.files if file.path == path), None)
    if found is None:
        raise Refusal(404, f"the skill {skill.name!r} has no relevant file of this path", "Ask for its list of files.")
    return found


def read_skill_file(skill: Skill, file: SkillFile, link_targets: Sequence[Path]) -> bytes:
    """The content of `file`, as it is in the snapshot that `skill` is of.

    Raises `Refusal` where the file is too large, cannot be read, or is another by now. Safe from any thread.
    """
    if file.path == SKILL_FILE:
        return skill.source
    if file.size > MAX_SERVED_BYTES:
        raise Refusal(413, f"the file has {file.size:,} bytes, over {MAX_SERVED_BYTES:,}", "Read it from the disk.")
    changed = Refusal(
        409,
        f"{file.path} is not what it was a moment ago",
        "Ask for the skill once more, then for the file.",
        retry_after=1,
    )
    try:
        target = os.path.realpath(skill.directory / file.path, strict=True)
    except (OSError, ValueError) as error:
        raise changed from error
    bases = [os.path.realpath(path) for path in (skill.root, *link_targets)]
    if not any(is_below(target, base) for base in bases):
        raise changed
    with DirectoryOpener(bases) as opener:
        try:
            entry = read_target(target, opener, MAX_SERVED_BYTES)
        except FileNotFoundError as error:
            raise changed from error
    if entry.error is not None:
        raise Refusal(403, f"{file.path} {entry.error[1]}", "Give the server's user permission to read it.")
    if entry.data is None or not _is_same(entry, file):
        raise changed
    return entry.data


def _is_same(entry: FileEntry, file: SkillFile) -> bool:
    if file.sha256 is not None:
        return entry.sha256 == file.sha256
    return entry.signature is not None and entry.signature[:2] == (file.mtime_ns, file.size)
