"""A skill as one archive, the same bytes for the same skill, so that its digest can be told before it is fetched."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from ..model import Skill
from ..skill_content import MAX_READ_BYTES
from .skill_files import read_skill_file

# What the specification's installers accept at most, with a margin.
MAX_FILES = 1_000


def can_archive(skill: Skill) -> bool:
    """Whether `skill` has more than its `SKILL.md`, and not more than an installer takes."""
    return 1 < len(skill.files) <= MAX_FILES and sum(file.size for file in skill.files) <= MAX_READ_BYTES


def make_archive(skill: Skill, link_targets: Sequence[Path]) -> bytes:
    """The relevant files of `skill` as `.tar.gz`, with `SKILL.md` at its top. Raises `Refusal` where one is another by
    now than in the snapshot."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in skill.files:
            data = read_skill_file(skill, file, link_targets)
            entry = tarfile.TarInfo(file.path)
            entry.size = len(data)
            entry.mode = 0o755 if data.startswith(b"#!") else 0o644  # a script, whatever its bits are here
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)
