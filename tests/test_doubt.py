"""When an audit must come at once. Time is made up."""

from __future__ import annotations

import pytest

from skills_refresh.doubt import LARGE_BATCH, LATE_S, PATIENCE_S, Doubt


@pytest.fixture
def doubt() -> Doubt:
    """A doubt that begins at monotonic 100 s, wall 1,000 s."""
    return Doubt(100.0, 1_000.0)


def test_who_is_on_time_has_nothing_to_doubt(doubt: Doubt) -> None:
    for number in range(1, 100):
        doubt.looked(100 + 1.5 * number, 1_000 + 1.5 * number, meant_after=1.5)
        doubt.heard(100 + 1.5 * number, LARGE_BATCH - 1, behind=False)
    assert doubt.audit_at(storm=False) is None


def test_who_was_kept_from_looking_audits_at_once(doubt: Doubt) -> None:
    doubt.looked(102 + LATE_S, 1_002 + LATE_S, meant_after=1.5)
    assert doubt.audit_at(storm=False) == 102 + LATE_S


@pytest.mark.parametrize("jump", [-3_600.0, -1.0, 1.0, 28_800.0])
def test_a_wall_clock_that_jumps_or_a_machine_that_slept_is_noticed(doubt: Doubt, jump: float) -> None:
    doubt.looked(101, 1_001 + jump, meant_after=1.5)
    assert doubt.audit_at(storm=False) == 101


def test_a_clock_that_was_set_is_noticed_once(doubt: Doubt) -> None:
    doubt.looked(101, 5_001, meant_after=1.5)
    doubt.dispelled(101)
    doubt.looked(102, 5_002, meant_after=1.5)
    assert doubt.audit_at(storm=False) is None


def test_a_large_batch_is_audited(doubt: Doubt) -> None:
    doubt.heard(101, LARGE_BATCH, behind=False)
    assert doubt.audit_at(storm=False) == 101


def test_a_reader_that_is_behind_is_audited(doubt: Doubt) -> None:
    doubt.heard(101, 1, behind=True)
    assert doubt.audit_at(storm=False) == 101


def test_in_a_storm_the_audit_waits_but_not_for_ever(doubt: Doubt) -> None:
    for number in range(10):
        doubt.heard(101 + number, LARGE_BATCH, behind=False)
    assert doubt.audit_at(storm=True) == 101 + PATIENCE_S
    assert doubt.audit_at(storm=False) == 101


def test_audits_do_not_follow_each_other_closely(doubt: Doubt) -> None:
    doubt.heard(101, LARGE_BATCH, behind=False)
    doubt.dispelled(101)
    assert doubt.audit_at(storm=False) is None
    doubt.heard(101.1, LARGE_BATCH, behind=False)
    assert doubt.audit_at(storm=False) == 101 + PATIENCE_S
