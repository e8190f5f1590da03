"""Between the event loop and threads: work that takes longer than a moment, and news from threads that are not ours.

The threads are daemons, unlike those of the pools that asyncio offers: a disk that hangs must not hold up the end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """What `function` returns, called on a thread of its own. Where the caller is cancelled, the call goes on."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def call() -> None:
        try:
            result = function(*arguments, **named)
        except BaseException as error:
            call_soon(loop, _fail, done, error)
        else:
            call_soon(loop, _succeed, done, result)

    threading.Thread(target=call, name=f"skills-refresh {function.__name__}", daemon=True).start()
    return await done


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    """Has `loop` call `function`. Safe from any thread; nothing happens once the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass  # the server has ended


def _succeed(done: asyncio.Future[_T], result: _T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[_T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
