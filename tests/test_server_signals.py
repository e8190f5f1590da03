"""What the server does at a signal: it reads its configuration again, or it ends."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import SkillsRoot, wait_for
from .serving import Server, following, prepared

ENDS_WITHIN_S = 2.0


def test_a_configuration_that_is_read_again_is_one_change_to_those_who_follow(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        SkillsRoot(tmp_path / name).add(name)
    config = _configure(tmp_path, roots=["one"])
    with Server("--config", config) as server, following(server) as follower:
        version = follower.next().id
        assert server.get("/w/alice/v1/version").status_code == 404
        _configure(tmp_path, roots=["two"], alice=["three"])
        server.hang_up()
        changed = follower.until("changed")
        assert (changed.data["previous"], changed.data["reason"]) == (version, "config")
        assert {change["skill"]: change["kind"] for change in changed.data["changes"]} == {
            "one": "removed",
            "two": "added",
        }
        server.wait_for_log("was read again")
        assert [skill["name"] for skill in server.get("/w/alice/v1/snapshot").json()["skills"]] == ["three"]
        with following(server, "/w/alice/v1/events") as alice:
            alice.next()
            _configure(tmp_path, roots=["two"], settings='extensions = [".odd"]')
            server.hang_up()
            assert alice.until("closing")
        server.wait_for_log("was read again", 2)
        assert server.get("/w/alice/v1/version").status_code == 404
        again = follower.until("changed")
        assert (again.data["previous"], again.data["changes"]) == (changed.id, [])
        (tmp_path / "two/two/data.odd").write_text("x", encoding="utf-8")
        assert follower.until("changed").data["changes"][0]["skill"] == "two"


def test_a_configuration_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    SkillsRoot(tmp_path / "one").add("one")
    config = _configure(tmp_path, roots=["one"])
    with Server("--config", config, "--log-format", "json") as server, following(server) as follower:
        follower.next()
        before = server.get("/v1/snapshot").content
        for number, broken in enumerate(("not TOML", "max_depth = 0", 'unknown = "x"'), start=1):
            config.write_text(broken, encoding="utf-8")
            server.hang_up()
            server.wait_for_log("nothing was changed", number)
        assert server.get("/v1/snapshot").content == before
        SkillsRoot(tmp_path / "one").add("later")
        assert follower.next().data["changes"][0]["skill"] == "later"


def test_signals_that_come_while_the_configuration_is_read_are_not_lost(tmp_path: Path) -> None:
    for number in range(4):
        SkillsRoot(tmp_path / f"root-{number}").add(f"skill-{number}")
    config = _configure(tmp_path, roots=["root-0"])
    with Server("--config", config, ready=False) as server:
        server.wait_for_log("listening at")  # and perhaps not ready yet
        for round_ in range(12):
            _configure(tmp_path, roots=[f"root-{round_ % 4}"])
            server.hang_up()
        wait_for(lambda: server.get("/readyz").status_code == 200)
        wait_for(lambda: [skill["name"] for skill in server.get("/v1/snapshot").json()["skills"]] == ["skill-3"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_comes_within_two_seconds_whatever_goes_on(skills_root: SkillsRoot, number: signal.Signals) -> None:
    skills_root.add("pdf")
    storming = threading.Event()

    def storm() -> None:
        while not storming.is_set():
            skills_root.add("pdf", description=f"Does it at {time.monotonic_ns()}.")

    with Server(skills_root.path) as server, ExitStack() as stack:
        followers = [stack.enter_context(following(server)) for _ in range(20)]
        unfinished = stack.enter_context(server.open())
        unfinished.sendall(b"POST /v1/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        stack.callback(storming.set)
        threading.Thread(target=storm).start()
        for _ in range(5):
            followers[0].until("changed")
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < ENDS_WITHIN_S
        assert followers[0].until("closing")
        assert "Task was destroyed" not in server.log


def test_the_end_comes_within_two_seconds_while_everything_is_read(tmp_path: Path) -> None:
    for number in range(3_000):
        (tmp_path / f"skills/s{number}").mkdir(parents=True)
        (tmp_path / f"skills/s{number}/SKILL.md").write_text("---\nname: x\n---\n" + "x" * 5_000, encoding="utf-8")
    config = tmp_path / "config.toml"
    roots = [str(tmp_path / "skills")]
    config.write_text(
        f"roots = {json.dumps(roots)}\nmax_skills = 10000\nmax_directories = 10000\n"
        + "".join(f"[workspaces.w{number}]\nroots = {json.dumps(roots)}\n" for number in range(8)),
        encoding="utf-8",
    )
    with Server("--config", config, ready=False) as server:
        server.wait_for_log("listening at")
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200
        refused = server.get("/v1/snapshot")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < ENDS_WITHIN_S
        assert "serving " not in server.log


def _configure(directory: Path, *, roots: list[str], alice: list[str] | None = None, settings: str = "") -> Path:
    text = f"roots = {json.dumps(roots)}\n{settings}\n"
    if alice is not None:
        text += f"[workspaces.alice]\nroots = {json.dumps(alice)}\n"
    (directory / "new.toml").write_text(text, encoding="utf-8")
    return (directory / "new.toml").replace(directory / "config.toml")


def test_the_file_of_the_token_is_read_again_too(skills_root: SkillsRoot, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first", encoding="utf-8")
    with Server("--token-file", secret, skills_root.path, environment={}) as server:
        secret.write_text("second", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        asked = {"authorization": "Bearer second"}
        wait_for(lambda: server.get("/v1/prompt", headers=asked).status_code == 200)
        assert server.get("/v1/prompt", headers={"authorization": "Bearer first"}).status_code == 401
        secret.write_text("", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("is empty; write a token into it")
        assert server.get("/v1/prompt", headers=asked).status_code == 200


def test_a_configuration_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    SkillsRoot(tmp_path / "skills").add("pdf")
    (tmp_path / "skills-refresh.toml").write_text("roots = ['skills']", encoding="utf-8")
    with Server(cwd=tmp_path) as server:
        (tmp_path / "skills-refresh.toml").unlink()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("skills-refresh.toml: is not there any more")
        assert [skill["name"] for skill in server.get("/v1/snapshot").json()["skills"]] == ["pdf"]


def test_versions_go_on_where_the_clock_was_set_back_before_a_reload(tmp_path: Path) -> None:
    SkillsRoot(tmp_path / "skills").add("pdf")
    _configure(tmp_path, roots=[str(tmp_path / "skills")])
    back = (
        "import time; from skills_refresh import versions; calls = []\n"
        "def clock():\n    calls.append(0)\n    return 10**15 - len(calls)\n"
        "versions.VersionCounter.__init__.__defaults__ = (clock,)\n"
        "from skills_refresh import clock as clocks; clocks.Clock.wall_ms = lambda self: clock()"
    )
    with Server("--config", tmp_path / "config.toml", command=prepared(back)) as server, following(server) as follower:
        before = follower.until("ready").data["version"]
        _configure(tmp_path, roots=[str(tmp_path / "skills"), str(tmp_path / "others")])
        server.process.send_signal(signal.SIGHUP)
        assert follower.until("changed").data["version"] > before
