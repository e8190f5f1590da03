"""`IdleWorkspaces`: which workspaces with a time to live nobody uses any more, and those that sleep because of it.

A workspace that sleeps holds no root: it keeps its last snapshot, and at its next use its roots are opened again. Its
publisher is kept here meanwhile, so that its versions and its history go on where they ended.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import ref

from .publisher import Publisher
from .roots import Root
from .workspace import Workspace


class Sleeper(NamedTuple):
    """A workspace's publisher, without roots, and the roots that it had."""

    publisher: Publisher
    roots: tuple[Root, ...]


class IdleWorkspaces:
    """Owned by the engine's thread. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._unused_since: dict[Publisher, float] = {}
        self._sleepers: dict[ref[Workspace], Sleeper] = {}

    def __bool__(self) -> bool:
        return bool(self._sleepers)

    def follow(self, publisher: Publisher, now: float) -> None:
        """Follows the use of a workspace, if it has a time to live. It is awake and was used at `now`."""
        workspace = publisher.reference()
        if workspace is not None and workspace.idle_s is not None:
            self._unused_since[publisher] = now

    def forget(self, publisher: Publisher) -> None:
        """The workspace is not awake any more."""
        self._unused_since.pop(publisher, None)

    def put_asleep(self, now: float) -> list[Sleeper]:
        """Puts those asleep that nobody used for as long as they have to live; returns them."""
        fallen = []
        for publisher, since in tuple(self._unused_since.items()):
            workspace = publisher.reference()
            if workspace is None:
                continue
            assert workspace.idle_s is not None, "others are not followed"
            used = workspace._take_use()
            if not used and now - since < workspace.idle_s:
                continue
            if used or not workspace._fall_asleep():  # it does not where it was used just now
                self._unused_since[publisher] = now
            else:
                sleeper = Sleeper(publisher, tuple(watched.root for watched in publisher.roots))
                self._sleepers[publisher.reference] = sleeper
                self.forget(publisher)
                fallen.append(sleeper)
        return fallen

    def is_asleep(self, workspace: Workspace) -> bool:
        """Whether `workspace` sleeps."""
        return ref(workspace) in self._sleepers

    def take(self, workspace: Workspace) -> Sleeper | None:
        """What slept of `workspace`, which does no longer; None where it did not."""
        return self._sleepers.pop(ref(workspace), None)

    def put_back(self, sleeper: Sleeper) -> None:
        """It could not be woken."""
        self._sleepers[sleeper.publisher.reference] = sleeper

    def take_forgotten(self) -> list[Sleeper]:
        """Those that nobody holds any more, which are forgotten here, too."""
        found = [reference for reference in self._sleepers if reference() is None]
        return [self._sleepers.pop(reference) for reference in found]
