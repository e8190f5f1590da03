"""Closing what follows a server: prompt, whatever is waited for, and with nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("httpx_sse", reason="needs the extra `client`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

import httpx

from skills_refresh import ClosedError, RootHealth, Workspace, connect

from .conftest import SkillsRoot, wait_for
from .followed_server import Server
from .following_proxy import Proxy

CLOSED_WITHIN_S = 0.5


@pytest.fixture
def server(skills_root: SkillsRoot) -> Iterator[Server]:
    with Server(skills_root.path) as server:
        yield server


def close_promptly(workspace: Workspace) -> None:
    began = time.monotonic()
    workspace.close()
    assert time.monotonic() - began < CLOSED_WITHIN_S
    wait_for(lambda: not _client_threads())


def _client_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "skills-refresh client"]


def test_closing_is_prompt_whatever_is_waited_for(server: Server) -> None:
    following = connect(server.url).start()
    close_promptly(following)
    waiting = connect(server.url).start()
    server.kill()
    wait_for(lambda: waiting.health[0].reason == "stale")
    close_promptly(waiting)


def test_closing_ends_a_barrier_that_waits_for_its_answer(server: Server) -> None:
    with Proxy(server.url) as proxy:
        skills = connect(proxy.url).start()
        proxy.swallow()
        found: list[BaseException] = []
        thread = threading.Thread(target=lambda: _keep_error(skills.sync, found))
        thread.start()
        wait_for(lambda: proxy.swallowed)
        close_promptly(skills)
        thread.join(5)
    assert [str(error) for error in found] == ["this workspace was closed: connect again"]


def test_a_health_listener_may_close_its_workspace(server: Server) -> None:
    skills = connect(server.url).start()
    closed = threading.Event()

    def on_health(health: RootHealth) -> None:
        began = time.monotonic()
        skills.close()
        assert time.monotonic() - began < CLOSED_WITHIN_S
        closed.set()

    skills.subscribe_health(on_health)
    server.kill()
    assert closed.wait(10)
    wait_for(lambda: not _client_threads())


def test_closing_ends_a_start_that_waits_for_an_answer(server: Server) -> None:
    with Proxy(server.url, lambda: 0) as proxy, ThreadingHTTPServer(("127.0.0.1", 0), Mute) as mute:
        del proxy
        threading.Thread(target=mute.serve_forever, daemon=True).start()
        starting = connect(f"http://127.0.0.1:{mute.server_address[1]}")
        found: list[BaseException] = []
        thread = threading.Thread(target=lambda: _keep_error(starting.start, found))
        thread.start()
        wait_for(_client_threads)
        close_promptly(starting)
        thread.join(5)
        assert [type(error) for error in found] == [ClosedError]
        mute.shutdown()
        Mute.over.set()


def _keep_error(call: Callable[[], object], found: list[BaseException]) -> None:
    try:
        call()
    except Exception as error:
        found.append(error)


class Mute(BaseHTTPRequestHandler):
    """Answers nothing until it is over."""

    over = threading.Event()

    def do_GET(self) -> None:
        self.over.wait(20)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_hundred_connections_one_after_the_other_leave_nothing_behind(server: Server) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    connect(server.url).start().close()
    wait_for(lambda: not _client_threads())
    threads, descriptors = held()
    for _ in range(100):
        with connect(server.url) as skills:
            skills.subscribe(print)
    wait_for(lambda: held()[0] <= threads and held()[1] <= descriptors, "the end of all that was held")
    wait_for(lambda: 'skills_refresh_subscribers{workspace=""} 0.0' in httpx.get(f"{server.url}/metrics").text)


FORKING = """
import logging, os, sys, warnings
from skills_refresh import ClosedError, connect
warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks go ill together is why this is tested
with connect(sys.argv[1]) as skills:
    skills.subscribe(lambda change: None)
    for number in range(20):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert "pdf" in skills.snapshot.skills
                assert (skills.health[0].mode, skills.health[0].reason) == ("degraded", "closed")
                try:
                    skills.sync()
                except ClosedError as error:
                    assert "was forked" in str(error), error
                    status = 0
                skills.close()
                if number % 10 == 0:
                    with connect(sys.argv[1]) as own:
                        assert "pdf" in own.sync().skills
            except BaseException:
                logging.exception("in the child")
                status = 2
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert "pdf" in skills.sync(timeout=10).skills
    child = os.fork()
    if child == 0:
        sys.exit(0)  # with all that Python does at its end, in the child
    assert os.waitpid(child, 0)[1] == 0
    assert "pdf" in skills.sync(timeout=10).skills
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_leaves_the_parent_unharmed_and_the_child_closed(server: Server, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    httpx.post(f"{server.url}/v1/sync")
    done = subprocess.run(
        [sys.executable, "-c", FORKING, server.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
