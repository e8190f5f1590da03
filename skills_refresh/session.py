"""`Session`: one agent's conversation, and what changed between its turns.

Before each call of the model a gateway asks `begin()`: which skills are there, what differs since this session's last
turn, and whether the text of the prompt that it has cached still holds. No disk, no lock: two snapshots are compared,
and of them only the layers that are not the same object.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from .changes import compare, prompt_differs
from .model import SkillChange, Snapshot

_log = logging.getLogger("skills_refresh")


class SavedSession(NamedTuple):
    """What to keep of a session over a restart: values that JSON can hold.

    `version` is that of its last turn's snapshot. `digest` is over all that `Turn.changes` can tell of, the files of
    skills, too; `prompt` is over the text of the prompt. Both are `sha256:` and a hash.
    """

    version: int
    digest: str
    prompt: str


class Turn:
    """What a session sees from one `begin` to the next. Immutable, and safe from any thread.

    `snapshot` stays the same whatever is edited meanwhile. `previous` is the version of this session's last turn, or
    None for a fresh start. `prompt_changed` is False where `snapshot.prompt()` is, byte for byte, the text of the last
    turn, even if it was another one in between.
    """

    __slots__ = ("_before", "_changes", "previous", "prompt_changed", "snapshot")

    def __init__(
        self, snapshot: Snapshot, before: Snapshot | None, previous: int | None, *, prompt_changed: bool
    ) -> None:
        self.snapshot = snapshot
        self.previous = previous
        self.prompt_changed = prompt_changed
        self._before = before
        self._changes: tuple[SkillChange, ...] | None = () if before is snapshot else None

    @property
    def changes(self) -> tuple[SkillChange, ...]:
        """What differs since the last turn, by skill, with aspects; for a fresh start, every skill as added. Made when
        it is first asked for."""
        before, changes = self._before, self._changes  # in this order: another thread may just be making them
        if changes is None:
            changes = self._changes = compare(before, self.snapshot, workspace="", reason="watch").changes
            self._before = None
        return changes

    def __repr__(self) -> str:
        prompt = "changed" if self.prompt_changed else "the same"
        return f"<Turn {self.previous} to {self.snapshot.version}: {len(self.changes)} changes, prompt {prompt}>"


class Session:
    """The turns of one agent on one workspace. Made by `Workspace.session`; for one thread at a time.

    It holds one snapshot and nothing that must be closed. On a closed workspace it goes on with the last snapshot.

    `current` returns the snapshot of now, `known` that of a version, or None where it is too long ago. `saved` is what
    the same session saved before a restart. What differs since then is told exactly where its version is still known.
    Otherwise digests, which are made here and take milliseconds, tell whether anything differs: if not, the first turn
    has no changes; if so, it is a fresh start, and `prompt_changed` says whether the text is still the same. A `saved`
    that cannot be understood is a fresh start, too, and is logged.
    """

    __slots__ = ("_current", "_last", "_prompted", "_unchanged", "_version")

    def __init__(
        self,
        current: Callable[[], Snapshot],
        known: Callable[[int], Snapshot | None],
        saved: SavedSession | Sequence[object] | None = None,
    ) -> None:
        self._current = current
        # The last turn's snapshot, or one that is the same but for its version, which is told beside it; and one whose
        # prompt is the same.
        self._last: Snapshot | None = None
        self._version: int | None = None
        self._prompted: Snapshot | None = None
        self._unchanged: Turn | None = None
        now = current()
        before = None if saved is None else _understood(saved)
        if before is not None:
            self._resume(before, known(before.version), now)

    def begin(self) -> Turn:
        """A turn with the snapshot of now. Without a lock and without the disk: microseconds when nothing changed."""
        snapshot = self._current()
        if snapshot is not self._last or snapshot is not self._prompted:
            changed = self._prompted is None or prompt_differs(self._prompted, snapshot)
            turn = Turn(snapshot, self._last, self._version, prompt_changed=changed)
            self._last = self._prompted = snapshot
            self._version, self._unchanged = snapshot.version, None
            return turn
        if self._unchanged is None or self._unchanged.previous != self._version:
            self._unchanged = Turn(snapshot, snapshot, self._version, prompt_changed=False)
            self._version = snapshot.version
        return self._unchanged

    @property
    def saved(self) -> SavedSession | None:
        """What to keep for `Workspace.session` after a restart; None before the first turn. It takes milliseconds:
        every file's hash is hashed."""
        if self._last is None or self._version is None:
            return None
        return SavedSession(self._version, _digest(self._last), _prompt_digest(self._last))

    def _resume(self, saved: SavedSession, before: Snapshot | None, now: Snapshot) -> None:
        """Goes on from `saved`, whose version is that of `before`, if it is known here."""
        # Versions are milliseconds: another engine may have had the same one.
        candidates = [now] if before is None or before is now else [before, now]
        self._last = next((snapshot for snapshot in candidates if _digest(snapshot) == saved.digest), None)
        self._version = None if self._last is None else saved.version
        # Looked at apart: another release may make another text of the same skills.
        self._prompted = next((snapshot for snapshot in candidates if _prompt_digest(snapshot) == saved.prompt), None)


def _understood(saved: Sequence[object]) -> SavedSession | None:
    """`saved` as it was made, or None where it is nothing of the kind."""
    if isinstance(saved, Sequence) and len(saved) == len(SavedSession._fields):
        version, digest, prompt = saved
        if isinstance(version, int) and isinstance(digest, str) and isinstance(prompt, str):
            return SavedSession(version, digest, prompt)
    _log.warning("a saved session cannot be understood, so it starts afresh: %.200r", saved)
    return None


def _digest(snapshot: Snapshot) -> str:
    """Over all that `compare` looks at: two snapshots have the same digest where it finds nothing."""
    skills = [
        (name, str(skill.root), skill.relative_location, skill.digest, skill.files)
        for name, skill in snapshot.skills.items()
    ]
    return _sha256(repr((skills, list(snapshot.files.items()))))


def _prompt_digest(snapshot: Snapshot) -> str:
    return _sha256(snapshot.prompt())


def _sha256(text: str) -> str:
    return "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
