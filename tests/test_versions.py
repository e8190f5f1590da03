"""Versions identify snapshots: they increase whatever the clock does, over restarts and over threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills_refresh import VersionCounter


def clock(*readings: int) -> Callable[[], int]:
    """A clock that shows one reading after the other."""
    return iter(readings).__next__


def strictly_increasing(versions: Iterable[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(versions))


def test_a_new_counter_has_given_out_nothing() -> None:
    assert VersionCounter().current == 0


def test_the_first_version_is_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    version = VersionCounter().next()
    assert before <= version <= time.time_ns() // 1_000_000


def test_versions_go_on_by_one_while_the_clock_stands_still() -> None:
    versions = VersionCounter(clock(1_000, 1_000, 1_000))
    assert [versions.next() for _ in range(3)] == [1_000, 1_001, 1_002]


def test_versions_go_on_by_one_when_the_clock_jumps_back() -> None:
    versions = VersionCounter(clock(1_000, 10, 20))
    assert [versions.next() for _ in range(3)] == [1_000, 1_001, 1_002]


def test_versions_follow_a_clock_that_jumps_forward() -> None:
    versions = VersionCounter(clock(1_000, 5_000, 5_001))
    assert [versions.next() for _ in range(3)] == [1_000, 5_000, 5_001]


def test_a_restart_gives_larger_versions() -> None:
    last_run = VersionCounter(clock(1_000, 1_001, 1_002))
    last = [last_run.next() for _ in range(3)][-1]
    assert VersionCounter(clock(1_003)).next() > last


def test_current_is_the_version_given_out_last() -> None:
    versions = VersionCounter(clock(1_000))
    assert versions.next() == versions.current


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can, so that a race shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_no_version_is_given_out_twice_over_threads() -> None:
    versions = VersionCounter()
    given_out: list[list[int]] = [[] for _ in range(8)]
    together = threading.Barrier(8)

    def take(mine: list[int]) -> None:
        together.wait()
        mine.extend(versions.next() for _ in range(2_000))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in given_out]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({version for mine in given_out for version in mine}) == 16_000
    assert all(strictly_increasing(mine) for mine in given_out)


@given(st.lists(st.integers(min_value=0, max_value=2**53), min_size=1))
def test_whatever_the_clock_shows_versions_increase_and_are_never_behind_it(readings: list[int]) -> None:
    versions = VersionCounter(clock(*readings))
    given_out = [versions.next() for _ in readings]
    assert strictly_increasing(given_out)
    assert all(version >= reading for version, reading in zip(given_out, readings, strict=True))
