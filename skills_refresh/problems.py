"""`Problem`, and the one table of everything that can be wrong with skills on disk.

A bad file is data, not an exception: it is told as a problem and never stops anything. A code keeps its meaning for
ever; to add one, add a row here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from .escaping import printable

Severity = Literal["error", "warning", "info"]


class Code(NamedTuple):
    """What one problem code means: how grave it is, and how a user mends it."""

    severity: Severity
    cure: str


CODES: dict[str, Code] = {
    # roots
    "missing-root": Code("warning", "Create the directory; it is picked up as soon as it exists."),
    "root-not-a-directory": Code("error", "Name the directory that holds the skills, not a file."),
    "invalid-ignore-file": Code("error", "Mend what the message names; the file holds gitignore patterns, in UTF-8."),
    # files and directories
    "unreadable": Code("error", "Give the user that runs the gateway permission to read it."),
    "no-descriptor": Code(
        "error", "Raise the limit of open files (ulimit -n), or open fewer; it is read again by itself."
    ),
    "not-a-file": Code("error", "Replace it by a regular file."),
    "undecodable-name": Code("warning", "Rename it to a name in UTF-8; until then its directory is polled."),
    "dangling-link": Code("warning", "Point the link at something that exists, or delete it."),
    "escaping-link": Code("warning", "Copy the target into the root, or add it to allow_link_targets."),
    "foreign-hard-link": Code("error", "Copy the file, so that it belongs to the user that the directory belongs to."),
    "hidden-skill": Code("info", "Hidden directories are not searched; name this directory as a root to load them."),
    # limits
    "depth-limit": Code("warning", "Move the skills up, name the deeper directory as a root, or raise max_depth."),
    "directory-limit": Code("warning", "Name the directories that hold skills as roots, or raise max_directories."),
    "skill-limit": Code("warning", "Spread the skills over several roots, or raise max_skills."),
    "nesting-limit": Code("warning", "Move what lies so deep up, or out of the skill."),
    "skill-size-limit": Code("warning", "Move what is no part of the skill out, or leave it out in .skillsignore."),
    "root-size-limit": Code("warning", "Leave out what is no skill in .skillsignore, or spread the skills over roots."),
    "entry-limit": Code("warning", "Spread the files over several directories."),
    "file-limit": Code("warning", "Spread the files over several directories, or leave some out in .skillsignore."),
    "link-limit": Code("warning", "Link to a directory instead of to each file in it."),
    "problem-limit": Code("warning", "Mend the problems that are told; then the next ones are."),
    "path-too-long": Code("error", "Shorten the names of the directories above it."),
    "too-large": Code("error", "Move detail into files beside SKILL.md, or raise max_skill_bytes."),
    # SKILL.md
    "no-frontmatter": Code("error", "Start SKILL.md with a line of three dashes, YAML fields, and three dashes again."),
    "unclosed-frontmatter": Code("error", "End the frontmatter with a line of three dashes."),
    "invalid-yaml": Code(
        "error",
        "Mend the YAML where the message points; quote values that hold colons or brackets.",
    ),
    "repaired-frontmatter": Code("warning", "Quote the value: other readers refuse an unquoted colon."),
    "missing-description": Code("error", "Add a description: what the skill does and when to use it."),
    "long-description": Code("warning", "Shorten the description to 1,024 characters."),
    "long-compatibility": Code("warning", "Shorten the compatibility to 500 characters."),
    "invalid-field": Code("warning", "Write it as the message says; other readers may refuse the skill."),
    "missing-name": Code("warning", "Add a name, the same as the directory's."),
    "invalid-name": Code("warning", "Use 1 to 64 lower-case letters, digits and single hyphens."),
    "name-mismatch": Code("warning", "Give the directory and the skill the same name."),
    "invalid-utf8": Code("warning", "Save the file as UTF-8; undecodable bytes are shown as U+FFFD."),
    "nul-bytes": Code("warning", "Remove the NUL bytes; the file may not be text."),
    "miscased-skill-file": Code("warning", "Rename the file to SKILL.md, in this case."),
    # the catalog
    "stale": Code("warning", "Mend SKILL.md; until then its last good version stays in use."),
    "shadowed": Code("warning", "Rename one of the two skills, or remove the one that is not wanted."),
    "nested-skill": Code("info", "It belongs to the skill above it; move it out to make it a skill of its own."),
    # what only `pytest --skills` looks at
    "broken-link": Code("warning", "Mend the link, or add the file; a link starts at the skill's directory."),
    "broken-script": Code("warning", "Mend the line; what cannot parse on purpose can be left out in .skillsignore."),
}


class Problem(NamedTuple):
    """Something to tell the user about a file. Immutable.

    `path` is absolute: the file or directory that is meant. `message` is one line, safe to print.
    """

    code: str
    severity: Severity
    path: Path
    message: str

    @property
    def cure(self) -> str:
        """One sentence that says how to mend it; empty for a code that only a newer server knows."""
        return CODES[self.code].cure if self.code in CODES else ""


def problem(code: str, path: str | Path, message: str) -> Problem:
    """The problem `code` at `path`; its severity is looked up in `CODES`."""
    return Problem(code, CODES[code].severity, Path(path), printable(message))


def problem_order(item: Problem) -> tuple[str, str, str]:
    """Sort key: problems are listed by path, then by code."""
    return (str(item.path), item.code, item.message)
