"""How much the server takes: connections, followers, requests at once. And who may reach it."""

from __future__ import annotations

import resource
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from .conftest import SkillsRoot, wait_for
from .serving import COMMAND, Server, clean_environment, following, httpx, prepared

DESCRIPTORS = 1_024
_FEW_DESCRIPTORS = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))"


@pytest.fixture
def root(skills_root: SkillsRoot) -> SkillsRoot:
    """With the skill `pdf`."""
    skills_root.add("pdf")
    return skills_root


def test_connections_beyond_the_bound_are_told_so_and_the_server_goes_on(root: SkillsRoot) -> None:
    with _many_descriptors(), Server(root.path, command=prepared(_FEW_DESCRIPTORS)) as server:
        before = server.sockets()
        with ExitStack() as stack:
            address = ("127.0.0.1", server.port)
            crowd = [stack.enter_context(closing(socket.create_connection(address, 30))) for _ in range(5_000)]
            refusals = list(_refusals(crowd, 5_000 - DESCRIPTORS))
            assert all(b"HTTP/1.1 503" in refusal and b"\r\nretry-after: 5\r\n" in refusal for refusal in refusals)
            crowd[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert crowd[0].recv(4_096).startswith(b"HTTP/1.1 200"), "those who were let in are served"
        wait_for(lambda: server.sockets() <= before + 1, "their descriptors are free again")
        assert server.get("/v1/prompt").status_code == 200


def test_followers_beyond_the_bound_are_told_to_come_later(root: SkillsRoot) -> None:
    with Server("--max-followers", "3", root.path) as server, ExitStack() as stack:
        followers = [stack.enter_context(following(server)) for _ in range(3)]
        for path in ("/v1/events", "/v1/version?after=1"):
            refused = server.get(path)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "--max-followers" in refused.json()["cure"]
        assert server.get("/v1/version").status_code == 200
        followers[0].close()
        wait_for(lambda: server.get("/v1/version?after=1").status_code == 200, "the place is free again")


def test_no_more_follow_than_may_when_they_all_come_at_once(root: SkillsRoot) -> None:
    with Server("--max-followers", "5", root.path) as server, ExitStack() as stack:
        crowd = [stack.enter_context(server.open()) for _ in range(60)]
        for connection in crowd:
            connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = [connection.recv(12) for connection in crowd]
        assert (answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 503")) == (5, 55)


def test_requests_beyond_the_bound_are_told_to_come_later_until_who_does_not_read_is_dropped(root: SkillsRoot) -> None:
    (root.path / "pdf/large.md").write_bytes(b"x" * 15_000_000)
    few = "from skills_refresh.server import guard, pieces; guard.MAX_REQUESTS, pieces.PATIENCE_S = 8, 2.0"
    with Server(root.path, command=prepared(few)) as server, ExitStack() as stack:
        for _ in range(8):
            asking = stack.enter_context(server.open())
            asking.sendall(b"GET /v1/skills/pdf/files/large.md HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: server.get("/v1/prompt").status_code == 503)
        assert server.get("/v1/prompt").headers["retry-after"] == "1"
        assert server.get("/healthz").status_code == 200
        wait_for(lambda: server.get("/v1/prompt").status_code == 200)


def test_bodies_and_headers_that_never_come_keep_nobody_waiting(root: SkillsRoot) -> None:
    soon = "from skills_refresh.server import connections, guard; guard.BODY_S, connections.HEAD_S = 1.0, 2.0"
    unfinished = b"POST /v1/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with Server(root.path, command=prepared(soon)) as server, ExitStack() as stack:
        asking = [stack.enter_context(server.open()) for _ in range(300)]
        for each in asking:
            each.sendall(unfinished)
        silent = stack.enter_context(server.open())
        silent.sendall(b"GET /v1/prompt HTTP/1.1\r\nHost: ")
        assert server.get("/v1/prompt").status_code == 200
        assert b" 408 " in asking[-1].recv(65_536)
        with pytest.raises(ConnectionResetError):
            assert silent.recv(1) == b"anything"


def test_another_address_than_the_loopback_needs_a_token(root: SkillsRoot, tmp_path: Path) -> None:
    done = _run("--host", "0.0.0.0", "--port", "0", str(root.path))
    assert (done.returncode, done.stdout) == (2, "")
    for cure in ("SKILLS_REFRESH_TOKEN", "--token-file", "--insecure"):
        assert cure in done.stderr
    with socket.create_server(("0.0.0.0", 0)) as passed:
        done = _run("--fd", str(passed.fileno()), str(root.path), passed=passed.fileno())
        assert (done.returncode, "--insecure" in done.stderr) == (2, True)
    secret = tmp_path / "token"
    secret.write_text("geheim\n", encoding="utf-8")
    with Server("--token-file", secret, root.path, at=("--host", "0.0.0.0", "--port", "0")) as server:
        url = f"http://127.0.0.1:{server.port}/v1/prompt"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer geheim"}).status_code == 200
        assert "WARNING" not in server.log
        assert "geheim" not in server.log


def test_who_lets_everybody_read_is_warned(root: SkillsRoot) -> None:
    with Server("--insecure", root.path, at=("--host", "0.0.0.0", "--port", "0")) as server:
        assert "WARNING  everybody who reaches http://0.0.0.0:" in server.log


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("", "is empty"), (" \n", "is empty")])
def test_a_token_file_without_a_token_is_an_error(
    root: SkillsRoot, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content, encoding="utf-8")
    done = _run("--token-file", str(tmp_path / "token"), str(root.path))
    assert (done.returncode, message in done.stderr) == (2, True)


def _run(*arguments: str, passed: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        pass_fds=() if passed is None else (passed,),
        timeout=30,
        check=False,
    )


@contextmanager
def _many_descriptors() -> Iterator[None]:
    """Room for 5,000 connections in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5_200:
        pytest.skip(f"needs 5,200 descriptors, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _refusals(crowd: list[socket.socket], number: int) -> Iterator[bytes]:
    """What so many of `crowd` are told without having asked."""
    poll = select.poll()
    by_descriptor = {connection.fileno(): connection for connection in crowd}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    while number > 0:
        readable = poll.poll(20_000)
        assert readable, f"{number} connections are neither served nor refused"
        for descriptor, _ in readable:
            poll.unregister(descriptor)
            number -= 1
            yield by_descriptor[descriptor].recv(4_096)
