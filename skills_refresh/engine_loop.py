"""`EngineLoop`: what the engine's thread does, one turn after another, and when.

It sleeps until it is woken, gathers hints, lets a batch settle, has it reconciled, and tells each workspace that sees a
difference. When nobody tells it anything it looks for itself: at what is polled, at the roots' own paths, and, now and
then or when events may have been lost, at everything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from .clock import Clock
from .debounce import STEP_S, Debounce
from .doubt import Doubt
from .errors import ClosedError, EngineError
from .files_digest import files_digest
from .model import Reason
from .publisher import Publisher
from .reconciler import Reconciler
from .watched_root import WatchedRoot
from .watching.wake import Waker
from .workspace import Workspace

# What only an audit can find must be right within 15 s. An audit of 1,000 skills takes 20 to 25 ms.
AUDIT_S = 14.3
# Directories that cannot be watched are looked at this often, and so are the roots' own paths: a missing root must be
# found within 2 s of its coming.
POLL_S = 1.5
# A root that is gone is mostly being replaced, by `rm -rf` and `cp -r` or by two renames: look soon, then seldom.
SOON_S = 0.020
# Polling takes at most 1 % of a core: after each look, a pause of so many times what it took.
POLL_PAUSE = 99
# After a signal, the Rust thread may still be on its way to hand the events over: look again, ever more seldom.
FIRST_LOOK_S = 0.0005
LAST_LOOK_S = 0.064
# What was read within a tick of the file system's clock is read once more when that is over; see `reading.RACY_NS`.
LOOK_TWICE_S = 0.030
# A turn that fails for a reason that we do not know is followed by a pause, twice as long each time it fails again.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

_log = logging.getLogger("skills_refresh")


class EngineLoop:
    """The state and the timing of one engine. Owned by its thread."""

    def __init__(self, reconciler: Reconciler, waker: Waker, clock: Clock, *, is_closing: Callable[[], bool]) -> None:
        self._publishers: dict[Workspace, Publisher] = {}
        self._reconciler = reconciler
        self._waker = waker
        self._clock = clock
        self._is_closing = is_closing
        self._debounce = Debounce()
        self._doubt = Doubt(clock.monotonic(), clock.wall())
        self._events = 0
        self._look_s: float | None = None
        self._look_twice_at = 0.0
        self._next_round = 0.0
        self._round_s = POLL_S
        self._next_poll = 0.0
        self._polled_since: float | None = None
        self._pause = FIRST_PAUSE_S
        self._names_lost = False
        self._unfinished: Reason | None = None
        self._reopen_at: float | None = None
        self._told: dict[WatchedRoot, tuple[str, str]] = {}

    # -- turns ------------------------------------------------------------------------------------------------------

    def turn(self, *, sleep: bool) -> None:
        """Gathers what there is and reconciles what is due; before that it sleeps until there is something to do, if
        it may `sleep`."""
        timeout = self._until_due() if sleep else 0.0
        if self._waker.wait(timeout):
            self._look_s = FIRST_LOOK_S
        now = self._clock.monotonic()
        self._doubt.looked(now, self._clock.wall(), meant_after=timeout)
        if self._reconciler.gather():
            self._debounce.event(now)
            self._look_s = None
        elif self._look_s is not None:
            self._look_s = self._look_s * 2 if self._look_s < LAST_LOOK_S else None
        self._look_where_no_event_tells(now)
        if self._debounce.pending:
            if now >= self._debounce.ready_at():
                self._publish("watch")
        elif self._reconciler.pending:
            self._publish(self._unfinished or "audit")
        if self._polled_since is not None:
            self._plan_poll(self._polled_since)

    def _plan_poll(self, began: float) -> None:
        """The next look at what is polled, after what this one took, with what was read again because of it."""
        health = self._reconciler.health
        health.poll_seconds = self._clock.monotonic() - began
        health.poll_interval = max(POLL_S, (1 + POLL_PAUSE) * health.poll_seconds)
        self._next_poll = began + health.poll_interval
        self._polled_since = None

    def failed(self) -> None:
        """After a failure that nobody foresaw: everything is to be read again, and until it is, health says so."""
        self._reconciler.start_over()
        self._names_lost = True
        self._tell_health()

    def pause_after_failure(self) -> None:
        """Sleeps, each time longer, so that what fails again and again costs little."""
        self._waker.wait(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    # -- what requests ask for --------------------------------------------------------------------------------------

    def attach(self, workspace: Workspace) -> None:
        """Opens the roots of `workspace` and publishes its first snapshot."""
        roots = tuple(self._reconciler.hold(root) for root in workspace.roots)
        try:
            self._publish_all("roots")
        except BaseException:
            for watched in roots:
                self._reconciler.release(watched)
                self._told.pop(watched, None)
            raise
        for watched in roots:
            if watched.users == 1:  # it was opened just now
                watched.next_audit = self._clock.monotonic() + AUDIT_S
        publisher = self._publishers[workspace] = Publisher(workspace, roots, self._clock)
        publisher.start()
        workspace._tell_health()

    def detach(self, workspace: Workspace) -> None:
        """Lets go of the roots of `workspace`."""
        publisher = self._publishers.pop(workspace, None)
        for watched in () if publisher is None else publisher.roots:
            self._reconciler.release(watched)
            if watched.users == 0:
                self._told.pop(watched, None)

    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> None:
        """Compares the roots of `workspace` with the disk, by listing them anew or by `stat` alone."""
        for watched in self._roots_of(workspace):
            self._reconciler.audit(watched)
            if read_all:
                self._reconciler.rescan(watched)
        if read_all:
            self._publishers[workspace].ask_again()
        self._publish_all(reason)
        failing = next((watched for watched in self._roots_of(workspace) if watched.failing), None)
        if failing is not None:
            raise EngineError(
                f"{failing.root.path}: the engine hit a bug, see the log; it is read again soon: try then"
            )

    def invalidate(self, workspace: Workspace) -> None:
        """Asks the checks of eligibility of `workspace` again about every skill, and publishes if an answer differs."""
        self._roots_of(workspace)  # raises where it is not open
        publisher = self._publishers[workspace]
        publisher.ask_again()
        publisher.publish_all("manual")

    def files_digest(self, workspace: Workspace) -> str:
        """The digest over the files that are known below the roots of `workspace`."""
        return files_digest([watched.tree for watched in self._roots_of(workspace)])

    def _roots_of(self, workspace: Workspace) -> tuple[WatchedRoot, ...]:
        publisher = self._publishers.get(workspace)
        if publisher is None:
            raise ClosedError("this workspace is not open: start it first, or make a new one")
        return publisher.roots

    # -- looking ----------------------------------------------------------------------------------------------------

    def _look_where_no_event_tells(self, now: float) -> None:
        """Does the looking that is due. What differs is marked, and published like everything else."""
        reconciler = self._reconciler
        if now >= self._next_round:
            self._next_round = now + self._round_s
            self._round_s = min(2 * self._round_s, POLL_S)
            reconciler.look_at_roots()
            polls = reconciler.polls
            reconciler.mend_coverage(quiet=not self._debounce.pending)
            if polls or reconciler.polls:
                self._tell_health()
        if reconciler.polls and now >= self._next_poll:
            self._polled_since = now
            reconciler.look_at_polled()
        self._doubt.heard(now, reconciler.events - self._events, behind=reconciler.behind)
        self._events, reconciler.behind = reconciler.events, False
        audit_at = self._doubt.audit_at(storm=self._debounce.pending)
        doubtful = audit_at is not None and now >= audit_at
        for watched in reconciler.roots.values():
            if doubtful or now >= watched.next_audit:
                watched.next_audit = now + AUDIT_S
                reconciler.audit(watched, rearm=True)
        if doubtful:
            self._doubt.dispelled(now)
        if self._reopen_at is not None and now >= self._reopen_at:
            self._reopen_at = None
            reconciler.reopen_failed()
        if reconciler.racy and now >= self._look_twice_at:
            reconciler.look_twice()

    def _until_due(self) -> float:
        """Seconds until something is to be done, if nothing happens before."""
        if self._reconciler.pending and not self._debounce.pending:
            return 0.0
        now = self._clock.monotonic()
        due = [self._next_round - now, *(watched.next_audit - now for watched in self._reconciler.roots.values())]
        if self._reconciler.polls:
            due.append(self._next_poll - now)
        audit_at = self._doubt.audit_at(storm=self._debounce.pending)
        if audit_at is not None:
            due.append(audit_at - now)
        if self._waker.step is not None:
            due.append(self._waker.step)
        if self._reopen_at is not None:
            due.append(self._reopen_at - now)
        if self._look_s is not None:
            due.append(self._look_s)
        if self._debounce.pending:
            due.append(min(self._debounce.ready_at() - now, STEP_S / 2))
        if self._reconciler.racy:
            due.append(self._look_twice_at - now)
        return max(min(due), 0.0)

    # -- publishing -------------------------------------------------------------------------------------------------

    def _publish_all(self, reason: Reason) -> None:
        """Publishes slice after slice until what is dirty now was read, with all that is found in it, but not what gets
        dirty meanwhile."""
        self._publish(reason)
        waiting = self._reconciler.waiting
        while waiting and not self._is_closing():
            self._publish(reason)
            waiting = self._reconciler.still_waiting(waiting)

    def _publish(self, reason: Reason) -> None:
        """Reconciles what is dirty now, for one slice, and publishes where a consumer can see a difference."""
        began = self._clock.monotonic()
        # What an event told, too, is not for an audit to claim.
        told = self._debounce.pending or self._reconciler.gather()
        self._debounce.take()
        names, reason = self._reconciler.reconcile("watch" if told and reason == "audit" else reason)
        names_lost, self._names_lost = self._names_lost, False
        for publisher in tuple(self._publishers.values()):
            if names_lost:
                publisher.publish_all(reason)
            else:
                publisher.publish(names, reason)
        if self._reconciler.vanished:
            self._reconciler.vanished = False
            self._round_s = SOON_S
            self._next_round = self._clock.monotonic() + SOON_S
        self._unfinished = reason if self._reconciler.pending else None
        if self._reconciler.racy:
            self._look_twice_at = self._clock.monotonic() + LOOK_TWICE_S
        if self._reconciler.failed:
            if self._reopen_at is None:
                self._reopen_at = self._clock.monotonic() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        elif not self._reconciler.pending:
            self._reconciler.health.failing = False
            self._pause = FIRST_PAUSE_S
        self._tell_health()
        self._debounce.looked_away(self._clock.monotonic() - began)

    def _tell_health(self) -> None:
        for watched in self._reconciler.roots.values():
            self._log_health(watched)
        for workspace in tuple(self._publishers):  # a health listener may close its workspace
            workspace._tell_health()

    def _log_health(self, watched: WatchedRoot) -> None:
        """One line when it changes, and none while it stays."""
        health = watched.health()
        now, before = (health.mode, health.reason), self._told.get(watched)
        self._told[watched] = now
        if now == before or (before is None and health.mode in ("native", "missing")):
            return
        if health.mode == "native":
            _log.info("%s is watched natively again", health.path)
        else:
            level = logging.INFO if health.reason == "configured" else logging.WARNING
            _log.log(level, "%s: %s (%s): %s. %s", health.path, health.mode, health.reason, health.message, health.cure)
