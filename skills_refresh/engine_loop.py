"""`EngineLoop`: what the engine's thread does, one turn after another, and when.

It sleeps until it is woken, gathers hints, lets a batch settle, has it reconciled, and tells each workspace that sees a
difference. When nobody tells it anything it looks for itself: at what is polled, at the roots' own paths, and, now and
then or when events may have been lost, at everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from .attachments import Attachments
from .audience import Audience
from .audit_schedule import AuditSchedule
from .clock import Clock
from .debounce import STEP_S, Debounce
from .doubt import Doubt
from .errors import EngineError
from .files_digest import files_digest
from .model import Reason
from .publisher import Publisher
from .reconciler import Reconciler
from .watched_root import WatchedRoot
from .watching.wake import Waker
from .workspace import Workspace

# What only an audit can find must be right within 15 s. An audit of 1,000 skills takes 20 to 25 ms.
AUDIT_S = 14.3
# Audits end a turn after so long, so that an event waits no longer; the next turn goes on with them.
AUDIT_SLICE_S = 0.010
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


class EngineLoop:
    """The state and the timing of one engine. Owned by its thread.

    `attachments` are the workspaces, with the roots that they hold.
    """

    def __init__(self, reconciler: Reconciler, waker: Waker, clock: Clock, *, is_closing: Callable[[], bool]) -> None:
        self._audience = Audience()
        self._reconciler = reconciler
        self._audits = AuditSchedule(AUDIT_S)
        self.attachments = Attachments(
            reconciler, self._audience, self._audits, clock, read_roots=lambda: self._catch_up("audit")
        )
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
                self._reconcile("watch")
        elif self._reconciler.pending and not self._audits.is_due(now):
            self._reconcile(self._unfinished or "audit")
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

    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> None:
        """Compares the roots of `workspace` with the disk by `stat` alone; with `read_all`, by listing them anew, and
        asks its checks of eligibility again."""
        publisher = self.attachments.publisher_of(workspace)
        if read_all:
            publisher.ask_again()
        self._compare(publisher.roots, reason, read_all=read_all, publishers=[publisher])

    def bump(self, reason: Reason) -> None:
        """Lists all roots anew, and asks all checks of eligibility again."""
        self.attachments.answers.forget_all()
        roots, publishers = tuple(self._reconciler.roots.values()), self._audience.publishers()
        self._compare(roots, reason, read_all=True, publishers=publishers)

    def invalidate(self, workspace: Workspace) -> None:
        """Asks the checks of eligibility of `workspace` again about every skill, and publishes if an answer differs."""
        publisher = self.attachments.publisher_of(workspace)
        publisher.ask_again()
        publisher.publish({}, "manual")

    def files_digest(self, workspace: Workspace) -> str:
        """The digest over the files that are known below the roots of `workspace`."""
        return files_digest([watched.tree for watched in self.attachments.publisher_of(workspace).roots])

    def _compare(
        self, roots: Collection[WatchedRoot], reason: Reason, *, read_all: bool, publishers: Collection[Publisher]
    ) -> None:
        for watched in roots:
            self._reconciler.audit(watched)
            if read_all:
                self._reconciler.rescan(watched)
        self._catch_up(reason)
        for publisher in publishers:  # those whom nothing but another answer of a check concerns
            publisher.publish({}, reason)
        failing = next((watched for watched in roots if watched.failing), None)
        if failing is not None:
            raise EngineError(
                f"{failing.root.path}: the engine hit a bug, see the log; it is read again soon: try then"
            )

    # -- looking ----------------------------------------------------------------------------------------------------

    def _look_where_no_event_tells(self, now: float) -> None:
        """Does the looking that is due. What differs is marked, and published like everything else."""
        reconciler = self._reconciler
        if now >= self._next_round:
            self._next_round = now + self._round_s
            self._round_s = min(2 * self._round_s, POLL_S)
            self.attachments.let_go_of_the_unused(now)
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
        if audit_at is not None and now >= audit_at:
            self._audits.hurry(now)
            self._doubt.dispelled(now)
        self._audit_what_is_due(now)
        if self._reopen_at is not None and now >= self._reopen_at:
            self._reopen_at = None
            reconciler.reopen_failed()
        if reconciler.racy and now >= self._look_twice_at:
            reconciler.look_twice()

    def _audit_what_is_due(self, now: float) -> None:
        """Audits for as long as a slice lasts."""
        while (watched := self._audits.take(now)) is not None:
            self._reconciler.audit(watched, rearm=True)
            if self._clock.monotonic() >= now + AUDIT_SLICE_S:
                break

    def _until_due(self) -> float:
        """Seconds until something is to be done, if nothing happens before."""
        now = self._clock.monotonic()
        if self._audits.is_due(now) or (self._reconciler.pending and not self._debounce.pending):
            return 0.0
        due = [self._next_round - now, self._audits.next_at - now]
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

    def _catch_up(self, reason: Reason) -> None:
        """Publishes slice after slice until what is dirty now was read, with all that is found in it, but not what gets
        dirty meanwhile."""
        self._reconcile(reason)
        waiting = self._reconciler.waiting
        while waiting and not self._is_closing():
            self._reconcile(reason)
            waiting = self._reconciler.still_waiting(waiting)

    def _reconcile(self, reason: Reason) -> None:
        """Reconciles what is dirty now, for one slice, and publishes where a consumer can see a difference."""
        began = self._clock.monotonic()
        # What an event told, too, is not for an audit to claim.
        told = self._debounce.pending or self._reconciler.gather()
        self._debounce.take()
        reason = "watch" if told and reason == "audit" else reason
        names, reasons = self._reconciler.reconcile()
        names_lost, self._names_lost = self._names_lost, False
        if names_lost:
            self._audience.tell_everybody(reason)
        else:
            self._audience.tell(names, reason, reasons)
        if self._reconciler.vanished:
            self._reconciler.vanished = False
            self._round_s = SOON_S
            self._next_round = self._clock.monotonic() + SOON_S
        self._unfinished = next(iter(reasons.values()), reason) if self._reconciler.pending else None
        if self._reconciler.racy:
            self._look_twice_at = self._clock.monotonic() + LOOK_TWICE_S
        if self._reconciler.failed:
            if self._reopen_at is None:
                self._reopen_at = self._clock.monotonic() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        elif not self._reconciler.pending:
            self._reconciler.all_is_well()
            self._pause = FIRST_PAUSE_S
        self._tell_health()
        self._debounce.looked_away(self._clock.monotonic() - began)

    def _tell_health(self) -> None:
        untold, self._reconciler.untold = self._reconciler.untold, set()
        self._audience.tell_health(untold)
