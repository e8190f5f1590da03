"""The digest over every relevant file below some roots: for checking that two views of the disk agree."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from .tree import Tree


def files_digest(trees: Sequence[Tree | None]) -> str:
    """`sha256:` and a hash over root number, relative path, size and mtime_ns of all relevant files in `trees`.

    It says what the trees hold; the disk is not looked at. A root that is missing has no files.
    """
    lines = [
        f"{number}\0{directory.relative}/{name}\0{entry.signature[1]}\0{entry.signature[0]}\n"
        for number, tree in enumerate(trees)
        if tree is not None
        for directory in tree.directories.values()
        for name, entry in directory.files.items()
        if entry.signature is not None
    ]
    return "sha256:" + sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
