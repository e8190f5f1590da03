"""`result_of`: what another thread was asked for, waited for as long as the caller wants to."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

_T = TypeVar("_T")


def result_of(call: str, future: Future[_T], timeout: float | None) -> _T:
    """The result of `call`. Raises `TimeoutError` after `timeout` seconds, and what the call raised."""
    try:
        return future.result(timeout)
    except FutureTimeoutError:  # which is another class than TimeoutError before Python 3.11
        if future.done():  # it is the call's own, or the call ended just now
            return future.result()
        message = f"{call} was not done within {timeout} s and goes on: wait longer, or call it again"
        raise TimeoutError(message) from None
