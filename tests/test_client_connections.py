"""Whatever happens to the server and to the way there: who follows ends with the server's snapshot, and says meanwhile
what is wrong."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("httpx_sse", reason="needs the extra `client`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

import httpx

from skills_refresh import ClosedError, ConfigError, ConnectError, RootHealth, ServerError, Snapshot, Workspace, connect
from skills_refresh.changes import compare
from skills_refresh.client import follow_loop, requests
from skills_refresh.client.rebuilding import later_than
from skills_refresh.encoding import JsonObject, complete_json, ready_json
from skills_refresh.server.events import encode_change

from .conftest import SkillsRoot, wait_for
from .following_proxy import Proxy, random_cuts
from .serving import Server
from .test_changes import make_skill, make_snapshot
from .test_client import Told, assert_equals_the_disk, content

CLOSED_WITHIN_S = 0.5


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no server make a client wait for a second before it comes back."""
    monkeypatch.setattr(follow_loop, "LONGEST_WAIT_S", 0.05)


@pytest.fixture
def server(skills_root: SkillsRoot) -> Iterator[Server]:
    with Server(skills_root.path) as server:
        yield server


def version_of(server: Server) -> tuple[int, str]:
    answer = httpx.post(f"{server.url}/v1/sync").json()
    return answer["version"], answer["digest"]


def is_at(workspace: Workspace, server: Server) -> bool:
    return (workspace.version, workspace.snapshot.digest) == version_of(server)


@contextmanager
def a_storm(root: SkillsRoot) -> Iterator[Callable[[], int]]:
    """A thread that writes, breaks and removes skills all the time; gives a function that counts what it did."""
    over = threading.Event()
    rounds = 0

    def write() -> None:
        nonlocal rounds
        while not over.wait(0.003):
            name = f"skill-{rounds % 17}"
            if rounds % 5 == 4:
                (root.path / name / "SKILL.md").unlink(missing_ok=True)
            elif rounds % 7 == 6:
                root.write(f"{name}/SKILL.md", "broken")
            else:
                root.add(name, body=f"{rounds}\n" * (rounds % 50), files={f"file-{rounds % 3}.md": str(rounds)})
            rounds += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield lambda: rounds
    finally:
        over.set()
        thread.join()


# -- the way is cut ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_followers_that_are_cut_off_in_a_storm_end_with_the_servers_snapshot(
    seed: int, server: Server, skills_root: SkillsRoot, impatient: None
) -> None:
    over = threading.Event()
    with Proxy(server.url, random_cuts(seed, over)) as proxy, ExitStack() as stack:
        followers: list[tuple[Workspace, Told]] = []
        for _ in range(5):
            follower = _start_through(proxy)
            stack.callback(follower.close)
            followers.append((follower, Told()))
            follower.subscribe(followers[-1][1])
        with a_storm(skills_root) as rounds:
            wait_for(lambda: rounds() > 300 and proxy.cuts > 20, "a storm and cuts", 30)
        over.set()
        wait_for(lambda: all(is_at(follower, server) for follower, _ in followers), "the server's version", 20)
        with connect(server.url) as direct:
            truth = direct.snapshot
        for follower, told in followers:
            assert content(follower.snapshot) == content(truth)
            wait_for(lambda told=told: told.changes and told.changes[-1].version == truth.version)  # type: ignore[misc]  # mypy cannot type a default
            assert all(before.version == after.previous for before, after in pairwise(told.changes))
            assert all(before.version < after.version for before, after in pairwise(told.changes))


def _start_through(proxy: Proxy) -> Workspace:
    """Starting does not try again, so it is tried again here until it is not cut."""
    for _ in range(200):
        try:
            return connect(proxy.url).start()
        except ConnectError:
            pass
    pytest.fail("every start was cut")


def test_a_connection_that_fell_silent_is_made_again(
    server: Server, skills_root: SkillsRoot, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SILENCE_S", 0.5)
    with Proxy(server.url) as proxy, connect(proxy.url) as skills:
        proxy.silence()
        skills_root.add("pdf")
        wait_for(lambda: "pdf" in skills.snapshot.skills)


def test_one_cut_is_nothing_to_tell(server: Server, skills_root: SkillsRoot, impatient: None) -> None:
    cuts = iter([5_000])
    with Proxy(server.url, lambda: next(cuts, None)) as proxy, connect(proxy.url) as skills:
        told: list[RootHealth] = []
        skills.subscribe_health(told.append)
        number = 0
        while not proxy.cuts:
            number += 1
            skills_root.add("pdf", body=f"{number}\n")
            skills.wait(after=skills.version, timeout=0.1)
        wait_for(lambda: skills.snapshot.skills["pdf"].instructions() == f"{number}\n")
        assert told == []


# -- the server goes and comes ----------------------------------------------------------------------------------------


def test_a_server_that_is_killed_and_started_again_is_followed_again(
    server: Server, skills_root: SkillsRoot, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.add("pdf")
    with connect(server.url) as skills:
        wait_for(lambda: "pdf" in skills.snapshot.skills)
        health: list[RootHealth] = []
        told = Told()
        skills.subscribe_health(health.append)
        skills.subscribe(told)
        before = skills.version
        server.kill()
        wait_for(lambda: health)
        assert [(root.mode, root.reason) for root in skills.health] == [("degraded", "stale")]
        assert "Connection refused" in skills.health[0].message
        assert time.strftime("since %Y-%m-%d") in skills.health[0].message
        assert server.url in skills.health[0].cure
        assert skills.snapshot.skills["pdf"].instructions() == "Do it.\n"
        with pytest.raises(ConnectError, match="Connection refused"):
            skills.sync()
        skills_root.add("docx")
        server.start()
        wait_for(lambda: told.seen() == [("docx", "added")])
        assert [(root.mode, root.reason) for root in health] == [("degraded", "stale"), ("native", "")]
        assert skills.version > before
        assert_equals_the_disk(skills, skills_root)
    ours = [record.message for record in caplog.records if record.name == "skills_refresh"]
    assert len(ours) == 1
    assert ours[0].startswith("the last snapshot stays in use: ")


def test_roots_that_the_server_is_given_while_it_runs_are_known_here(tmp_path: Path) -> None:
    SkillsRoot(tmp_path / "one").add("pdf")
    SkillsRoot(tmp_path / "two").add("docx")
    config = tmp_path / "config.toml"
    config.write_text('roots = ["one"]\n')
    with Server(tmp_path / "none", "--config", str(config)) as server, connect(server.url) as skills:
        told = Told()
        skills.subscribe(told)
        config.write_text('roots = ["two", "missing"]\n')
        server.reload()
        wait_for(lambda: sorted(told.seen()) == [("docx", "added"), ("pdf", "removed")])
        assert told.changes[0].reason == "config"
        wait_for(lambda: [root.mode for root in skills.health] == ["native", "missing"])
        assert [root.path for root in skills.roots] == [str(tmp_path / "two"), str(tmp_path / "missing")]


def test_where_nothing_differs_after_a_restart_nothing_is_told_but_the_version(
    server: Server, skills_root: SkillsRoot, impatient: None
) -> None:
    skills_root.add("pdf")
    with connect(server.url) as skills:
        wait_for(lambda: "pdf" in skills.snapshot.skills)
        told = Told()
        skills.subscribe(told)
        before = skills.snapshot
        server.restart()
        newer = skills.wait(after=before.version, timeout=10)
        assert newer is not None
        assert newer.skills["pdf"] is before.skills["pdf"]
        skills.subscribe(told, since=before.version)
        skills_root.add("docx")
        wait_for(lambda: len(told.changes) == 2)
        assert [change.previous for change in told.changes] == [newer.version] * 2


def test_starting_waits_for_a_server_that_is_still_reading(skills_root: SkillsRoot) -> None:
    for number in range(2_000):
        skills_root.add(f"skill-{number}")
    server = Server(skills_root.path, "--max-skills", "3000", "--max-directories", "3000")
    with ExitStack() as stack:
        server.start(until="listening")
        stack.callback(server.kill)
        assert httpx.get(f"{server.url}/v1/snapshot").status_code == 503, "it was too fast for this test"
        with connect(server.url) as skills:
            assert len(skills.snapshot.skills) == 2_000


def test_a_server_that_is_not_there_is_told_at_once(skills_root: SkillsRoot) -> None:
    with Server(skills_root.path) as server:
        pass
    with pytest.raises(ConnectError, match=f"{server.url}: Connection refused; start the server there"):
        connect(server.url).start()
    with pytest.raises(ConnectError, match=r"unix:/nowhere\.sock: No such file or directory"):
        connect("unix:/nowhere.sock").start()


# -- tokens, sockets, workspaces --------------------------------------------------------------------------------------


def test_a_token_is_asked_for_and_never_shown(
    skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    with Server(skills_root.path, token="right-secret") as server:
        with pytest.raises(ServerError, match="asks for a token; Give the server's token"):
            connect(server.url).start()
        refused = connect(server.url, token="wrong-secret")
        with pytest.raises(ServerError, match="refuses the token") as caught:
            refused.start()
        shown += [repr(refused), str(caught.value), repr(caught.value.__cause__), repr(refused._host)]
        monkeypatch.setenv("SKILLS_REFRESH_TOKEN", "right-secret")
        with connect(server.url) as skills:
            shown += [repr(skills), repr(skills.health)]
    with pytest.raises(ConfigError, match="the token cannot be sent") as unsendable:
        connect(server.url, token="secret\nline")
    shown += [str(unsendable.value), caplog.text]
    assert "secret" not in "".join(shown)


def test_no_proxy_of_the_environment_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert _skills_at(server.url) == []


def test_workspaces_are_found_by_their_names_and_by_a_socket_file(tmp_path: Path) -> None:
    main, team = SkillsRoot(tmp_path / "main"), SkillsRoot(tmp_path / "team")
    main.add("pdf")
    team.add("docx")
    (tmp_path / "config.toml").write_text('roots = ["main"]\n[workspaces.team]\nroots = ["team"]\n')
    config, socket = str(tmp_path / "config.toml"), str(tmp_path / "s")
    with Server(tmp_path / "none", "--config", config) as server:
        assert _skills_at(server.url + "/") == ["pdf"]
        assert _skills_at(f"{server.url}/w/team") == ["docx"]
        with pytest.raises(ServerError, match="there is no workspace 'other'"):
            connect(f"{server.url}/w/other").start()
    with Server(tmp_path / "none", "--config", config, "--uds", socket):
        assert _skills_at(f"unix:{socket}") == ["pdf"]
        assert _skills_at(f"unix:{socket}:/w/team") == ["docx"]


def _skills_at(url: str) -> list[str]:
    with connect(url) as skills:
        return list(skills.snapshot.skills)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8765", "ftp://host", "http://", "http://host:port", "http://host/?x=1", "unix:", "unix:/s:/w/"],
)
def test_what_is_not_the_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="write http://HOST:PORT or unix:/PATH"):
        connect(url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="no user or password") as caught:
        connect("http://me:secret@host:1")
    assert "secret" not in str(caught.value)


# -- closing ----------------------------------------------------------------------------------------------------------


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
    version_of(server)
    done = subprocess.run(
        [sys.executable, "-c", FORKING, server.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- a server that says what cannot be right --------------------------------------------------------------------------


class Teller(BaseHTTPRequestHandler):
    """Tells what a test wants to be told, and ends each stream of events when that changes."""

    snapshot: Snapshot
    digest: str | None
    answer: bytes | None
    events: bytes
    changed: threading.Event
    asked: list[str]

    def do_GET(self) -> None:
        changed = self.changed  # before anybody can see that this was asked
        self.asked.append(self.path)
        told = self._told()
        if self.path.endswith("/v1/events"):
            self._send("text/event-stream", f"retry: 20\nevent: ready\ndata: {json.dumps(told)}\n\n".encode(), False)
            changed.wait(10)
            self.wfile.write(self.events)
        else:
            self._send("application/json", self.answer or json.dumps(told).encode(), True)

    def _told(self) -> JsonObject:
        root = RootHealth(Path("/skills"), "native", "", "", "", 1, 0, None, None, None, None, 0, 0, 0)
        told = complete_json(self.snapshot, None) if "snapshot" in self.path else ready_json(self.snapshot, [root])
        return told | ({} if self.digest is None else {"digest": self.digest})

    def _send(self, media_type: str, data: bytes, whole: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", media_type)
        if whole:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def teller() -> Iterator[tuple[type[Teller], str]]:
    """A class whose attributes are what is told, and the URL where it is."""

    class Telling(Teller):
        snapshot = make_snapshot(500, make_skill("pdf"))
        digest = None
        answer = None
        events = b""
        changed = threading.Event()
        asked = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Telling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Telling, f"http://127.0.0.1:{server.server_address[1]}"
        Telling.changed.set()
        server.shutdown()


def test_events_that_were_overtaken_cost_no_request_and_one_alone_gives_its_reason(
    teller: tuple[type[Teller], str],
) -> None:
    telling, url = teller
    first, *later = [make_snapshot(500 + n, make_skill("pdf", body=f"{n}\n")) for n in range(12)]
    telling.snapshot = first
    with connect(url) as skills:
        told = Told()
        skills.subscribe(told)
        for last in (later[0], later[-1]):
            steps = [snapshot for snapshot in (first, *later) if skills.version <= snapshot.version <= last.version]
            telling.events = b"".join(
                encode_change(compare(before, after, workspace="", reason="manual"))
                for before, after in pairwise(steps)
            )
            telling.asked.clear()
            tell(telling, last)
            assert skills.wait(after=steps[0].version, timeout=10) is not None
            wait_for(lambda: "/v1/events" in telling.asked)
            assert len([path for path in telling.asked if "snapshot" in path]) == 1
        wait_for(
            lambda: [(change.version, change.reason) for change in told.changes] == [(501, "manual"), (511, "remote")]
        )


def test_a_ping_between_events_is_nothing(teller: tuple[type[Teller], str]) -> None:
    telling, url = teller
    first, second, third = [make_snapshot(500 + n, make_skill("pdf", body=f"{n}\n")) for n in range(3)]
    telling.snapshot = first
    with connect(url) as skills:
        told: list[RootHealth] = []
        skills.subscribe_health(told.append)
        for before, after in ((first, second), (second, third)):
            telling.events = encode_change(compare(before, after, workspace="", reason="watch")) + b": still here\n\n"
            telling.asked.clear()
            tell(telling, after)
            wait_for(lambda: "/v1/events" in telling.asked)
        assert skills.wait(after=501, timeout=10) is not None
        assert told == []


def tell(teller: type[Teller], snapshot: Snapshot, digest: str | None = None) -> None:
    """Has it tell something else from now on, to those who follow already too."""
    teller.snapshot, teller.digest = snapshot, digest
    ended, teller.changed = teller.changed, threading.Event()
    ended.set()


def test_a_snapshot_that_does_not_add_up_is_not_believed(teller: tuple[type[Teller], str]) -> None:
    telling, url = teller
    with connect(url) as skills:
        telling.asked.clear()
        tell(telling, make_snapshot(501, make_skill("docx")), "sha256:other")
        wait_for(lambda: skills.health[0].reason == "stale")
        assert "another digest than it says" in skills.health[0].message
        assert list(skills.snapshot.skills) == ["pdf"]
        asked = [path.split("complete")[1] for path in telling.asked if "snapshot" in path]
        assert asked[:2] == ["&since=500", ""]
        tell(telling, make_snapshot(502, make_skill("docx")))
        wait_for(lambda: skills.health[0].reason == "")
        assert list(skills.snapshot.skills) == ["docx"]


def test_versions_go_on_where_the_clock_of_the_server_was_set_back(teller: tuple[type[Teller], str]) -> None:
    telling, url = teller
    with connect(url) as skills:
        pdf = skills.snapshot.skills["pdf"]
        told = Told()
        skills.subscribe(told)
        for version, body in ((100, "a"), (101, "b"), (900, "c")):
            before = skills.version
            tell(telling, make_snapshot(version, make_skill("docx", body=body), pdf))
            after = skills.wait(after=before, timeout=10)
            assert after is not None
            assert after.skills["docx"].instructions() == body
        wait_for(lambda: [change.version for change in told.changes] == [501, 502, 900])
        telling.asked.clear()
        tell(telling, make_snapshot(50, *skills.snapshot.skills.values()))
        wait_for(lambda: "/v1/snapshot?view=complete&since=900" in telling.asked)
        tell(telling, make_snapshot(51, *skills.snapshot.skills.values()))
        wait_for(lambda: "/v1/snapshot?view=complete&since=50" in telling.asked)
        assert skills.version == 900


def test_a_prompt_that_differs_is_of_a_later_version_whatever_the_server_counts() -> None:
    before = make_snapshot(500, make_skill("pdf"))
    body = later_than(before, make_snapshot(100, make_skill("pdf", body="Other.\n")))
    other = later_than(before, make_snapshot(100, make_skill("docx")))
    assert (body.version, body.prompt_version) == (501, 500)
    assert (other.version, other.prompt_version) == (501, 501)
    late = Snapshot(900, 100, other.skills, (), {})
    assert later_than(other, late).prompt_version == 501
    assert later_than(body, late).prompt_version == 900


def test_answers_without_end_or_sense_are_refused(
    teller: tuple[type[Teller], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    telling, url = teller
    for answer, reason in (
        (b"<html>", "no JSON object; is it a skills-refresh server"),
        (b'{"previous": null}', "cannot be understood .KeyError"),
        (json.dumps({"previous": None, "removed": [], "skills": [7]}).encode(), "cannot be understood .TypeError"),
        (b64encode(b"x" * 100_000), "over 50,000 bytes"),
    ):
        telling.answer = answer
        monkeypatch.setattr(requests, "MAX_ANSWER_BYTES", 50_000)
        with pytest.raises(ServerError, match=reason):
            connect(url).start()
    monkeypatch.setattr(requests, "MAX_EVENT_BYTES", 100)
    with pytest.raises(ServerError, match="an event has over 100 bytes"):
        connect(url).start()


def test_pauses_grow_and_differ() -> None:
    pauses = [[follow_loop.pause(failures, 0.0) for _ in range(50)] for failures in range(10)]
    assert all(len(set(some)) > 10 for some in pauses)
    assert [max(some) <= min(0.2 * 2**failures, 10) for failures, some in enumerate(pauses)] == [True] * 10
    assert min(pauses[9]) >= 5
    assert 3 <= follow_loop.pause(0, 3.0) <= 4.5


@pytest.mark.parametrize("module", ["httpx", "httpx_sse"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    program = f"""
import sys
import skills_refresh
skills_refresh.connect
assert not {{"httpx", "httpx_sse"}} & sys.modules.keys()
sys.modules[{module!r}] = None
try:
    skills_refresh.connect("http://127.0.0.1:1")
except skills_refresh.ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "pip install 'skills-refresh[client]'" in done.stdout
