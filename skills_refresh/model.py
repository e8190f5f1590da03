"""The data that the library hands out: skills, snapshots and changes. Frozen, shared between threads without a lock.

Nothing here touches the disk. A `Skill` holds the bytes of its `SKILL.md`, so `instructions()` and `digest` always
agree, whatever happens to the file meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .freezing import frozen, plain
from .layered import LayeredMapping, layered
from .problems import Problem
from .prompt import render_prompt

Reason = Literal["watch", "audit", "manual", "remote", "roots", "config"]
Kind = Literal["added", "changed", "removed"]
Aspect = Literal["catalog", "instructions", "files"]

ASPECTS: tuple[Aspect, ...] = ("catalog", "instructions", "files")


class SkillFile(NamedTuple):
    """One relevant file of a skill.

    `path` is relative to the skill's directory, with forward slashes. `size` is in bytes. `sha256` is the hexadecimal
    hash of its content, or None for a file over 1 MB or one that cannot be read; such a file counts by its size and
    `mtime_ns` (nanoseconds since the epoch), which is None for all others.
    """

    path: str
    size: int
    sha256: str | None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Skill:
    """A directory with a `SKILL.md`, as it was when it was last read. Immutable; the same object as long as no byte of
    it changes, so `is` tells whether two snapshots hold the same skill.

    `root` is absolute, as the user wrote it; `relative_location` leads from there to `SKILL.md`. `digest` is `sha256:`
    and the hash of the bytes of `SKILL.md`. `files` are its relevant files, `SKILL.md` among them, sorted by path.
    `frontmatter` holds all fields as they were written, unknown ones too.
    """

    name: str
    description: str
    root: Path
    relative_location: str
    digest: str
    files: tuple[SkillFile, ...]
    frontmatter: Mapping[str, object]
    source: bytes = field(repr=False)
    body_offset: int = field(repr=False)
    identity: bytes = field(repr=False)

    @property
    def location(self) -> Path:
        """The absolute path of its `SKILL.md`."""
        return self.root / self.relative_location

    @property
    def directory(self) -> Path:
        """The absolute path of the skill's directory."""
        return self.location.parent

    def __reduce__(self) -> tuple[object, ...]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return (_unpickled, ({**values, "frontmatter": plain(self.frontmatter)},))

    def __deepcopy__(self, memo: object) -> Skill:
        return self

    def instructions(self) -> str:
        """The text of `SKILL.md` below its frontmatter, with undecodable bytes as U+FFFD."""
        return self.source[self.body_offset :].decode("utf-8", "replace").replace("\r\n", "\n").lstrip("\n")


def _unpickled(values: dict[str, Any]) -> Skill:
    """A skill as it was before it was pickled: its read-only frontmatter cannot be."""
    return Skill(**{**values, "frontmatter": frozen(values["frontmatter"])})


def skill_identity(name: str, relative_location: str, source_digest: str) -> bytes:
    """What a skill contributes to `Snapshot.digest`: 32 bytes over name, root-relative location and `SKILL.md`."""
    text = f"{name}\0{relative_location}\0{source_digest}"
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


class HiddenSkill(NamedTuple):
    """A skill that is there and must not be used, and why: one line, for people."""

    skill: Skill
    reason: str


NONE_HIDDEN: Mapping[str, HiddenSkill] = LayeredMapping(())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Snapshot:
    """Everything that one workspace knows at one version. Immutable; every attribute can be read from any thread.

    `skills` maps names to skills, sorted by name. `files` maps the absolute paths of relevant files that belong to no
    loaded skill. `hidden` maps names to skills that are hidden, sorted by name; where another root has a skill of that
    name, it is in `skills`, too. `prompt_version` is the version at which the text of `prompt()` last differed, so a
    gateway whose cached prompt is of that version or newer can keep it. `find_problems` returns `problems`.
    """

    version: int
    prompt_version: int
    skills: Mapping[str, Skill]
    find_problems: Callable[[], tuple[Problem, ...]]
    files: Mapping[str, SkillFile]
    hidden: Mapping[str, HiddenSkill] = field(default_factory=lambda: NONE_HIDDEN)
    _digest: str = field(default="", init=False)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with files, sorted by path. Made when it is first asked for."""
        return self.find_problems()

    @property
    def digest(self) -> str:
        """`sha256:` and a hash of the skills' names, root-relative locations and bytes of `SKILL.md`: the same skills
        have the same digest after a restart and on another machine."""
        if not self._digest:
            text = sha256(b"".join([skill.identity for skill in self.skills.values()])).hexdigest()
            object.__setattr__(self, "_digest", f"sha256:{text}")
        return self._digest

    def skills_dict(self) -> dict[str, Skill]:
        """A copy of `skills` as a plain dictionary, sorted by name: ten times as quick as `dict(snapshot.skills)`."""
        return layered(self.skills).in_order()

    def prompt(self) -> str:
        """The `<available_skills>` block for a model; the empty string where there are no skills."""
        return render_prompt(self.skills.values())

    def __repr__(self) -> str:
        return f"<Snapshot version={self.version} skills={len(self.skills)} problems={len(self.problems)}>"


class SkillChange(NamedTuple):
    """What happened to one skill between two snapshots.

    `skill` is None for relevant files that belong to no loaded skill. `aspects` says what a consumer can see: the
    `catalog` entry (frontmatter, location), the `instructions`, other `files`. `paths` are all absolute paths that
    differ.
    """

    skill: str | None
    kind: Kind
    aspects: tuple[Aspect, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SkillsChanged:
    """What a listener gets: everything that differs between `before` and `snapshot`.

    `previous` is the version of `before`, or None for a fresh start: then the listener asked for a version that is no
    longer known, and every skill of `snapshot` is told as added. `changes` is empty where only problems differ, or the
    reasons for which skills are hidden.
    """

    workspace: str
    reason: Reason
    changes: tuple[SkillChange, ...]
    snapshot: Snapshot = field(repr=False)
    before: Snapshot | None = field(repr=False)

    def __repr__(self) -> str:
        return f"<SkillsChanged {self.previous} to {self.version} by {self.reason}: {list(self.changes)}>"

    @property
    def version(self) -> int:
        """The version of the new snapshot."""
        return self.snapshot.version

    @property
    def previous(self) -> int | None:
        """The version that this change starts from; None when it is a fresh start."""
        return None if self.before is None else self.before.version
