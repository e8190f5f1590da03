"""The events that the server sends: the first, those that were missed, those that are too many, and the last."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from skills_refresh import scan

from .conftest import SkillsRoot, wait_for
from .serving import Event, Server, following, prepared

pytest.importorskip("fastapi", reason="needs the extra: pip install 'skills-refresh[serve]'")

from skills_refresh.changes import compare
from skills_refresh.server.events import MAX_EVENT_BYTES, MAX_JOINED_BYTES, MAX_WAITING, EventHub

# The server with another interval, given before the module is used.
_PINGING = prepared("from skills_refresh.server import context; context.PING_S = 0.05")


@pytest.fixture
def server(skills_root: SkillsRoot) -> Iterator[Server]:
    """On a root with the skill `pdf`."""
    skills_root.add("pdf")
    with Server(skills_root.path) as server:
        yield server


def test_the_first_is_ready_and_each_change_has_its_version_as_its_id(server: Server, skills_root: SkillsRoot) -> None:
    with following(server) as follower:
        assert (follower.status, follower.headers["content-type"]) == (200, "text/event-stream")
        ready = follower.next()
        version = server.get("/v1/version").json()["version"]
        assert (ready.name, ready.id, ready.data["version"], ready.data["skills"]) == ("ready", version, version, 1)
        assert ready.data["roots"][0]["path"] == str(skills_root.path)
        skills_root.add("new")
        changed = follower.next()
        assert (changed.name, changed.data["previous"]) == ("changed", version)
        assert changed.id == changed.data["version"] == server.get("/v1/version").json()["version"]
        assert changed.data["changes"][0]["skill"] == "new"


def test_health_is_told_when_a_root_goes_and_comes(server: Server, skills_root: SkillsRoot) -> None:
    with following(server) as follower:
        follower.until("ready")
        shutil.rmtree(skills_root.path)
        assert follower.until("health").data["mode"] == "missing"
        assert server.get("/readyz").status_code == 503
        skills_root.add("pdf")
        while follower.until("health").data["mode"] == "missing":
            pass
        wait_for(lambda: server.get("/readyz").status_code == 200)


def test_who_comes_back_is_told_exactly_what_it_missed(server: Server, skills_root: SkillsRoot) -> None:
    with following(server) as witness:
        versions, missed = [witness.next().id], []
        for number in range(4):
            skills_root.add(f"new-{number}")
            missed.append(witness.until("changed"))
            versions.append(missed[-1].id)
        for index, version in enumerate(versions):
            with following(server, last_event_id=version) as follower:
                assert follower.next()[::2] == ("ready", version)
                assert [follower.next() for _ in missed[index:]] == missed[index:]
                skills_root.add(f"later-{index}")
                missed.append(witness.until("changed"))
                assert follower.next() == missed[-1], "something came twice, or was left out"


@pytest.mark.parametrize("unknown", ["12", "99999999999999", "garbage", "-1", "0x10", "٣", "9" * 5_000])
def test_who_stands_at_an_unknown_version_is_told_to_start_anew(server: Server, unknown: str) -> None:
    with following(server, last_event_id=unknown) as follower:
        assert (follower.status, follower.next().name) == (200, "ready")
        reset, current = follower.next(), server.get("/v1/version").json()
        assert (reset.name, reset.id, reset.data["digest"]) == ("reset", current["version"], current["digest"])


def test_a_follower_who_is_cut_at_random_points_of_a_storm_misses_nothing(
    server: Server, skills_root: SkillsRoot
) -> None:
    storming = threading.Event()

    def storm() -> None:
        for number in range(60):
            skills_root.add(f"s{number % 7}", description=f"Does {number}.", files={f"f{number}.md": "x"})
            storming.wait(0.02)
        skills_root.add("the-last")

    thread = threading.Thread(target=storm)
    thread.start()
    generator, stands_at, cuts, names = random.Random(7), server.get("/v1/version").json()["version"], 0, set[str]()
    deadline = time.monotonic() + 30
    while "the-last" not in names:
        assert time.monotonic() < deadline
        connection = server.open()
        connection.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {stands_at}\r\n\r\n".encode())
        raw = b""
        # A busy machine makes few events of the storm, and large ones: some time, each is read whole.
        left = generator.randrange(200, 6_000) + 200 * cuts
        while left > 0 and not re.search(rb"the-last.*\n\n", raw) and (data := connection.recv(min(left, 400))):
            raw += data
            left -= len(data)
        connection.close()
        cuts += 1
        for version, data in re.findall(r"id: (\d+)\r?\nevent: changed\ndata: (.+)\n\n", raw.decode()):
            previous = int(re.search(r'"previous":(\d+)', data)[1])  # type: ignore[index]  # else the test fails
            assert previous == stands_at, "a change was left out or came twice"
            stands_at = int(version)
            names.update(re.findall(r'"skill":"([^"]+)"', data))
    thread.join()
    assert cuts > 3
    assert names >= {f"s{number}" for number in range(7)}


def test_comments_come_where_nothing_else_does(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with Server(skills_root.path, command=_PINGING) as server, following(server) as follower:
        assert follower.next().name == "ready"
        for _ in range(3):
            assert follower.comment().startswith(":")


def test_a_comment_waits_only_where_nothing_else_does(skills_root: SkillsRoot) -> None:
    async def check() -> None:
        hub = EventHub(scan([skills_root.path]).snapshot, tuple)
        subscriber = hub.subscribe(None, lambda: None)
        for _ in range(MAX_WAITING * 2):
            hub.ping()
        assert b"event: ready" in (await subscriber.next() or b"")
        for _ in range(MAX_WAITING * 2):
            hub.ping()
        assert await subscriber.next() == b": still here\n\n"
        assert subscriber in hub.subscribers

    asyncio.run(check())


def test_what_waits_is_joined_only_as_far_as_it_is_small(skills_root: SkillsRoot) -> None:
    async def check() -> None:
        hub = EventHub(scan([skills_root.path]).snapshot, tuple)
        subscriber = hub.subscribe(None, lambda: None)
        for _ in range(100):
            hub.tell(b"x" * 10_000)
        sizes: list[int] = []
        while sum(sizes) < 1_000_000:
            sizes.append(len(await subscriber.next() or b""))
        assert max(sizes) <= MAX_JOINED_BYTES
        assert len(sizes) < 20

    asyncio.run(check())


def test_a_change_that_is_larger_than_everything_is_a_fresh_start(skills_root: SkillsRoot) -> None:
    async def check() -> None:
        before = scan([skills_root.path]).snapshot
        skills_root.add("new")
        after = replace(scan([skills_root.path]).snapshot, version=before.version + 1)
        change = compare(before, after, workspace="", reason="watch")
        hub = EventHub(before, tuple)
        now = hub.subscribe(None, lambda: None)
        hub.change(change, b"x" * (MAX_EVENT_BYTES + 1))
        later = hub.subscribe(before.version, lambda: None)
        for subscriber in (now, later):
            told = await subscriber.next() or b""
            assert b"event: reset\n" in told
            assert len(told) < 2_000
            assert subscriber in hub.subscribers

    asyncio.run(check())


def test_who_comes_while_the_server_ends_is_told_so(skills_root: SkillsRoot) -> None:
    async def check() -> None:
        hub = EventHub(scan([skills_root.path]).snapshot, tuple)
        hub.close()
        subscriber = hub.subscribe(None, lambda: None)
        assert b"event: closing\n" in (await subscriber.next() or b"")
        assert await subscriber.next() is None
        await asyncio.wait_for(hub.wait_for_newer(hub.snapshot.version, 60), 1)

    asyncio.run(check())


def test_every_follower_is_told_that_the_server_ends(server: Server) -> None:
    with ExitStack() as stack:
        followers = [stack.enter_context(following(server)) for _ in range(50)]
        waiting = server.open()
        waiting.sendall(b"GET /v1/version?after=9999999999999&timeout=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: _metric(server, "following", "", default=51.0) == 51.0)
        assert server.stop(signal.SIGTERM) == 0
        for follower in followers:
            assert [follower.next().name for _ in range(2)] == ["ready", "closing"]
            with pytest.raises(EOFError):
                follower.next()
        assert waiting.recv(65_536).startswith(b"HTTP/1.1 200")
        waiting.close()


def test_a_reader_that_never_reads_is_cut_off_and_harms_nobody(skills_root: SkillsRoot) -> None:
    long = "x" * 200
    for number in range(300):
        skills_root.write(f"{long}/{long}/{number}/SKILL.md", "broken")
    with Server(skills_root.path) as server, following(server) as reader, ExitStack() as stack:
        reader.next()
        sockets, memory = server.sockets(), server.memory()
        slow = [stack.enter_context(_slow_reader(server)) for _ in range(30)]
        wait_for(lambda: _metric(server, "subscribers", 'workspace=""') == len(slow) + 1)
        number = 0
        while _metric(server, "cut_off_total", 'workspace=""') < len(slow):
            number += 1
            skills_root.write(f"{long}/{long}/more-{number}/SKILL.md", "broken")  # each event tells all problems
            told: Event = reader.until("changed")
            assert len(told.data["problems"]) == 300 + number
            assert number < 200, "nobody is cut off"
        assert _metric(server, "subscribers", 'workspace=""') == 1
        wait_for(lambda: server.sockets() <= sockets + 1, "their descriptors are free again")
        wait_for(lambda: not _unread(server), "the kernel has forgotten what nobody reads")
        assert server.memory() - memory < 60_000_000
        skills_root.add("pdf")
        assert reader.until("changed").data["skills"] == 1
        assert "without completing" not in server.log


def _slow_reader(server: Server) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def _unread(server: Server) -> list[str]:
    """Connections that no process has any more, but whose data the kernel still keeps."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    local = f"0100007F:{server.port:04X}"
    return [line for line in lines if line.split()[1] == local and line.split()[3] == "04"]


def _metric(server: Server, name: str, labels: str, default: float = 0.0) -> float:
    found = re.search(rf"^skills_refresh_{name}\{{{labels}\}} (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return default if found is None else float(found[1])
