"""`Attachments`: the workspaces of one engine and the roots that they hold: opened, put to sleep, woken, closed, and
forgotten by their users. What is in the roots, and when it is read, is the business of others.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterable

from .audience import Audience
from .audit_schedule import AuditSchedule
from .clock import Clock
from .errors import ClosedError
from .hiding import SharedAnswers
from .idle import IdleWorkspaces, Sleeper
from .publisher import Publisher
from .reconciler import Reconciler
from .roots import Root
from .watched_root import WatchedRoot
from .workspace import Workspace

_log = logging.getLogger("skills_refresh")


class Attachments:
    """Gives workspaces their roots, and takes them back. Owned by the engine's thread.

    `answers` say which skills they hide, asleep or not. `audits` gets exactly the roots that somebody holds.
    `read_roots` reads what was opened. `is_forgotten` says that all workspaces are gone, the last one without having
    been closed.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        audience: Audience,
        audits: AuditSchedule,
        clock: Clock,
        read_roots: Callable[[], None],
    ) -> None:
        self.is_forgotten = False
        self.answers = SharedAnswers()
        self._reconciler = reconciler
        self._audience = audience
        self._audits = audits
        self._clock = clock
        self._read_roots = read_roots
        self._idle = IdleWorkspaces()
        self._forgotten: set[Publisher] = set()

    def attach(self, workspace: Workspace) -> None:
        """Opens the roots of `workspace` and publishes its first snapshot, or, where it slept, the next one."""
        if workspace._closed:
            raise ClosedError(workspace._closed)
        if self._audience.publisher_of(workspace) is not None:
            return  # somebody else woke it
        sleeper = self._idle.take(workspace)
        roots = tuple(self._reconciler.hold(root) for root in workspace.roots)
        try:
            self._read_roots()
        except BaseException:
            self._release(roots)
            if sleeper is not None:
                self._idle.put_back(sleeper)
            raise
        now = self._clock.monotonic()
        for watched in roots:
            if watched.users == 1:  # it was opened just now
                self._audits.add(watched, now)
        if sleeper is None:
            publisher = Publisher(workspace, roots, self._clock, self.answers.of(workspace._checks))
        else:
            publisher = sleeper.publisher
            publisher.roots = roots
            self._leave(sleeper)
        self._audience.add(publisher)
        self._idle.follow(publisher, now)
        publisher.start()

    def detach(self, workspace: Workspace) -> None:
        """Lets go of the roots of `workspace`."""
        publisher = self._audience.publisher_of(workspace)
        sleeper = self._idle.take(workspace)
        if publisher is not None:
            _freeze_health(publisher)
            self._let_go(publisher)
        elif sleeper is not None:
            self._leave(sleeper)

    def publisher_of(self, workspace: Workspace) -> Publisher:
        """The publisher of `workspace`, which is woken where it sleeps. Raises `ClosedError` where it has none."""
        if self._idle.is_asleep(workspace):
            self.attach(workspace)
        publisher = self._audience.publisher_of(workspace)
        if publisher is None:
            raise ClosedError("this workspace is not open: start it first, or make a new one")
        return publisher

    def let_go_of_the_unused(self, now: float) -> None:
        """Puts idle workspaces to sleep, and frees what belongs to forgotten ones."""
        for fallen in self._idle.put_asleep(now):
            for root in fallen.roots:
                self._reconciler.kept.want(root)
            self._let_go(fallen.publisher)
        # Found twice, because an engine that is closed just after has closed all that it opened.
        found = set(self._audience.forgotten())
        forgotten, self._forgotten = found & self._forgotten, found
        for publisher in forgotten:
            _warn_of_forgotten(watched.root for watched in publisher.roots)
            self._let_go(publisher)
        asleep = self._idle.take_forgotten()
        for sleeper in asleep:
            _warn_of_forgotten(sleeper.roots)
            self._leave(sleeper)
        self.is_forgotten = bool(forgotten or asleep) and not (self._audience or self._idle)

    def let_go_of_all(self) -> None:
        """The engine ends, and its watches with it: nothing is read or told any more."""
        for publisher in self._audience.publishers():
            _freeze_health(publisher)
            publisher.roots = ()

    def _let_go(self, publisher: Publisher) -> None:
        self._audience.remove(publisher)
        self._idle.forget(publisher)
        roots, publisher.roots = publisher.roots, ()
        self._release(roots)

    def _release(self, roots: Collection[WatchedRoot]) -> None:
        for watched in roots:
            self._reconciler.release(watched)
            if watched.users == 0:
                self._audits.discard(watched)
                self._audience.forget(watched)

    def _leave(self, sleeper: Sleeper) -> None:
        for root in sleeper.roots:
            self._reconciler.kept.leave(root)


def _freeze_health(publisher: Publisher) -> None:
    """Has the workspace, which loses its roots, say how they fared last."""
    workspace, health = publisher.reference(), publisher.health()
    if workspace is not None:
        workspace._follow_health(lambda: health)


def _warn_of_forgotten(roots: Iterable[Root]) -> None:
    """Says that a workspace was not closed. A finalizer of its own could say so sooner, but may run anywhere, and while
    any lock is held."""
    message = f"a workspace on {[root.path for root in roots]} was forgotten while it was open; close what you open"
    try:
        warnings.warn(message, ResourceWarning, stacklevel=1)
    except ResourceWarning:  # where warnings are errors: on this thread nobody would see one
        _log.warning("%s", message)
