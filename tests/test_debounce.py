"""Settling: an edit costs a step, a storm a handful of batches, and a batch always ends. Time is made up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_refresh.debounce import FIRST_WINDOW_S, LONGEST_WINDOW_S, QUIET_S, STEP_S, Debounce


class Batch(NamedTuple):
    began: float
    ready: float

    @property
    def length(self) -> float:
        return self.ready - self.began


def play(events: Iterable[float], debounce: Debounce | None = None) -> list[Batch]:
    """The batches that events at these times are published in, when each is taken as soon as it is ready."""
    debounce = debounce or Debounce()
    batches: list[Batch] = []
    began = 0.0

    def take() -> None:
        batches.append(Batch(began, debounce.ready_at()))
        debounce.take()

    for now in events:
        if debounce.pending and debounce.ready_at() <= now:
            take()
        if not debounce.pending:
            began = now
        debounce.event(now)
    if debounce.pending:
        take()
    return batches


def every_millisecond(seconds: float, start: float = 0.0) -> list[float]:
    return [start + number / 1_000 for number in range(int(seconds * 1_000))]


def test_nothing_is_pending_before_the_first_change() -> None:
    assert not Debounce().pending


def test_a_batch_is_pending_until_it_is_taken() -> None:
    debounce = Debounce()
    debounce.event(1.0)
    assert debounce.pending
    debounce.take()
    assert not debounce.pending


def test_a_single_change_is_ready_after_one_step() -> None:
    assert play([1.0]) == [Batch(1.0, 1.0 + STEP_S)]


def test_a_second_change_within_the_step_moves_the_end_by_a_step() -> None:
    lengths = [batch.length for batch in play([1.0, 1.0 + STEP_S / 2])]
    assert lengths == pytest.approx([1.5 * STEP_S])


def test_a_batch_that_never_stands_still_is_ready_after_the_first_window() -> None:
    assert play(every_millisecond(1.0))[0].length == pytest.approx(FIRST_WINDOW_S)


def test_windows_double_up_to_the_longest_while_changes_keep_coming() -> None:
    lengths = [batch.length for batch in play(every_millisecond(2.0))]
    assert lengths[:8] == pytest.approx([0.010, 0.010, 0.020, 0.040, 0.080, 0.160, 0.250, 0.250])


def test_five_seconds_of_constant_writing_cost_a_handful_of_batches() -> None:
    assert len(play(every_millisecond(5.0))) < 30


def test_after_quiet_a_single_change_is_ready_after_one_step_again() -> None:
    debounce = Debounce()
    play(every_millisecond(2.0), debounce)
    late = 2.0 + LONGEST_WINDOW_S
    assert play([late], debounce) == [Batch(late, late + STEP_S)]


def test_a_person_who_saves_twice_waits_for_one_step_each_time() -> None:
    lengths = [batch.length for batch in play([1.0, 1.0 + QUIET_S])]
    assert lengths == pytest.approx([STEP_S, STEP_S])


def test_a_pause_that_is_shorter_than_the_window_is_not_quiet() -> None:
    debounce = Debounce()
    play(every_millisecond(2.0), debounce)
    late = 2.0 + LONGEST_WINDOW_S - 0.010
    assert play([late], debounce)[0].length == pytest.approx(LONGEST_WINDOW_S)


@given(st.lists(st.floats(min_value=0.0, max_value=0.5), min_size=1, max_size=200))
def test_every_window_ends(gaps: list[float]) -> None:
    now = 0.0
    events = [now := now + gap for gap in gaps]
    batches = play(events)
    assert all(0.0 < batch.length <= LONGEST_WINDOW_S + 1e-9 for batch in batches)
    assert batches[-1].ready > events[-1]


def test_the_time_that_publishing_takes_is_no_quiet() -> None:
    """Events that pile up while a batch is published belong to the same storm."""
    debounce = Debounce()
    debounce.event(0.0)
    debounce.take()
    debounce.looked_away(0.5)
    debounce.event(0.501)
    assert debounce.ready_at() == pytest.approx(0.501 + FIRST_WINDOW_S)
