"""The content of one file of a skill, only as the snapshot knows it that the skill is of.

The file is opened as the engine opens files, below the roots and the allowed link targets and never through a link that
was swapped in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .filters import SKILL_FILE
from .model import Skill, SkillFile
from .opening import DirectoryOpener, is_below
from .reading import FileEntry, read_target

# Files up to this size are read. Larger ones are no reading for a model.
MAX_READ_BYTES = 16_000_000


def read_skill_file(skill: Skill, file: SkillFile, link_targets: Sequence[Path] = ()) -> bytes:
    """The content of `file`, one of `skill.files`.

    `link_targets` are the directories outside of the roots that links may lead to. Raises `FileNotFoundError` where the
    file is another by now, or gone, `PermissionError` where it cannot be read, and `ValueError` for one that is over
    `MAX_READ_BYTES` long. Reads the disk, but for a `SKILL.md`; safe from any thread.
    """
    if file.path == SKILL_FILE:
        return skill.source
    if file.size > MAX_READ_BYTES:
        raise ValueError(f"the file has {file.size:,} bytes, over {MAX_READ_BYTES:,}")
    another = FileNotFoundError(f"{file.path} is not what it was a moment ago")
    try:
        target = os.path.realpath(skill.directory / file.path, strict=True)
    except (OSError, ValueError) as error:
        raise another from error
    bases = [os.path.realpath(path) for path in (skill.root, *link_targets)]
    if not any(is_below(target, base) for base in bases):
        raise another
    with DirectoryOpener(bases) as opener:
        try:
            entry = read_target(target, opener, MAX_READ_BYTES)
        except FileNotFoundError as error:
            raise another from error
    if entry.error is not None:
        raise PermissionError(f"{file.path} {entry.error[1]}")
    if entry.data is None or not _is_same(entry, file):
        raise another
    return entry.data


def _is_same(entry: FileEntry, file: SkillFile) -> bool:
    if file.sha256 is not None:
        return entry.sha256 == file.sha256
    return entry.signature is not None and entry.signature[:2] == (file.mtime_ns, file.size)
