"""When roots are audited: each in its time, those that are due soon after one another together."""

from __future__ import annotations

from skills_refresh.audit_schedule import TOGETHER, AuditSchedule
from skills_refresh.roots import Root
from skills_refresh.settings import Settings
from skills_refresh.watched_root import WatchedRoot

EVERY_S = 100.0
TOGETHER_S = TOGETHER * EVERY_S


def roots(count: int) -> list[WatchedRoot]:
    return [WatchedRoot(Root(f"/nowhere/{number}"), Settings()) for number in range(count)]


def schedule(opened: dict[WatchedRoot, float]) -> AuditSchedule:
    made = AuditSchedule(EVERY_S)
    for watched, now in opened.items():
        made.add(watched, now)
    return made


def taken(audits: AuditSchedule, now: float) -> list[WatchedRoot]:
    found = []
    while (watched := audits.take(now)) is not None:
        found.append(watched)
    return found


def test_a_root_is_due_so_long_after_it_was_read() -> None:
    (root,) = roots(1)
    audits = schedule({root: 5.0})
    assert audits.next_at == 105.0
    assert taken(audits, 104.9) == []
    assert taken(audits, 105.0) == [root]
    assert audits.next_at == 205.0


def test_those_that_are_due_soon_after_one_another_go_together() -> None:
    first, soon, later = roots(3)
    audits = schedule({first: 0.0, soon: TOGETHER_S, later: 2 * TOGETHER_S})
    assert taken(audits, 100.0) == [first, soon]
    assert audits.next_at == 100.0 + 2 * TOGETHER_S


def test_nothing_is_taken_before_one_is_due() -> None:
    """An event must not bring audits forward."""
    first, soon = roots(2)
    audits = schedule({first: 0.0, soon: 1.0})
    assert taken(audits, 99.9) == []


def test_what_was_begun_is_due_until_it_is_done() -> None:
    first, soon = roots(2)
    audits = schedule({first: 0.0, soon: 1.0})
    assert audits.take(100.0) is first
    assert audits.is_due(100.0)
    assert audits.take(100.1) is soon
    assert not audits.is_due(100.1)


def test_all_are_due_at_once_in_a_hurry_and_then_in_their_time_again() -> None:
    made = roots(5)
    audits = schedule({root: float(number) for number, root in enumerate(made)})
    audits.hurry(10.0)
    assert taken(audits, 10.0) == made
    assert audits.next_at == 110.0


def test_however_short_the_time_between_each_root_comes_once() -> None:
    made = roots(3)
    audits = AuditSchedule(0.5)
    for root in made:
        audits.add(root, 0.0)
    assert taken(audits, 0.5) == made


def test_a_root_that_nobody_holds_is_not_due_any_more() -> None:
    first, other = roots(2)
    audits = schedule({first: 0.0, other: 1.0})
    audits.discard(first)
    assert taken(audits, 200.0) == [other]
    audits.discard(other)
    assert audits.next_at == float("inf")
    assert taken(audits, 500.0) == []
