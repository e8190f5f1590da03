"""Whatever happens to the server and to the way there: who follows ends with the server's snapshot, and says meanwhile
what is wrong."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("httpx_sse", reason="needs the extra `client`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

import httpx

from skills_refresh import ConfigError, ConnectError, RootHealth, ServerError, Workspace, connect
from skills_refresh.client import follow_loop, requests

from .conftest import SkillsRoot, wait_for
from .followed_server import Server
from .following_proxy import Proxy, random_cuts
from .test_client import Told, assert_equals_the_disk, content


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
        with pytest.raises(ServerError, match=r"asks for a token\. Give the server's token"):
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


def test_what_only_an_engine_can_tell_is_refused(server: Server) -> None:
    with connect(server.url) as skills, pytest.raises(ServerError, match="files_digest: a server does not tell it"):
        skills.files_digest()


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


# -- around it ------------------------------------------------------------------------------------------------------


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
