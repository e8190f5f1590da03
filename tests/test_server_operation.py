"""How the server is started, told to read its configuration again, supervised and ended."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import SkillsRoot, wait_for
from .serving import COMMAND, Server, clean_environment, httpx, prepared

ENDS_WITHIN_S = 2.0


@pytest.fixture
def root(skills_root: SkillsRoot) -> SkillsRoot:
    """With the skill `pdf`."""
    skills_root.add("pdf")
    return skills_root


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for a socket file."""
    directory = Path(subprocess.check_output(["mktemp", "-d", "/tmp/served.XXXXXX"], text=True).strip())
    yield directory
    shutil.rmtree(directory)


def test_a_port_that_is_taken_is_named_with_a_cure(root: SkillsRoot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run("--port", str(taken.getsockname()[1]), str(root.path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("host", ["x" * 100, "no.such.host.invalid", "256.0.0.1"])
def test_a_host_that_is_none_is_named_with_a_cure(root: SkillsRoot, host: str) -> None:
    done = _run("--host", host, str(root.path))
    assert (done.returncode, "choose another --host" in done.stderr) == (2, True), done.stderr


def test_a_socket_file_is_its_owners_alone_and_gone_at_the_end(root: SkillsRoot, short: Path) -> None:
    file = short / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(file))  # of a server that was killed
    with Server(root.path, at=("--uds", str(file))) as server:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(file), verify=False)) as client:
            assert client.get("http://localhost/v1/version").status_code == 200
        done = _run("--uds", str(file), str(root.path))
        assert (done.returncode, "another server listens there" in done.stderr) == (2, True)
        assert stat.S_ISSOCK(file.stat().st_mode)
        assert server.stop() == 0
    assert not file.exists()
    file.write_text("of somebody", encoding="utf-8")
    done = _run("--uds", str(file), str(root.path))
    assert (done.returncode, "no socket" in done.stderr) == (2, True)
    assert file.read_text(encoding="utf-8") == "of somebody"


def test_the_socket_file_of_another_server_is_left_alone(root: SkillsRoot, short: Path) -> None:
    path = short / "s"
    with Server(root.path, at=("--uds", str(path))) as first:
        path.unlink()
        with Server(root.path, at=("--uds", str(path))) as second:
            assert first.stop() == 0
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(path))
            assert second.stop() == 0
            assert not path.exists()


def test_a_descriptor_that_listens_is_taken(root: SkillsRoot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        number = passed.fileno()
        with Server(root.path, at=("--fd", str(number)), pass_fds=(number,)) as server:
            assert server.port == passed.getsockname()[1]
            assert server.get("/v1/version").status_code == 200
            assert server.stop() == 0


def test_a_descriptor_that_does_not_listen_is_named_with_a_cure(root: SkillsRoot) -> None:
    with socket.socket() as deaf, (root.path / "pdf/SKILL.md").open() as file:
        for number in (deaf.fileno(), file.fileno(), 999, -1):
            passed = (number,) if number not in (999, -1) else ()
            done = _run("--fd", str(number), str(root.path), passed=passed)
            assert (done.returncode, "pass a socket that" in done.stderr) == (2, True), done.stderr


def test_systemd_hears_of_every_state(root: SkillsRoot, short: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(short / "notify"))
        systemd.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(short / "notify"), "WATCHDOG_USEC": "200000"}
        with Server(root.path, environment=environment) as server:
            heard = [_state(systemd)]
            while "READY" not in heard[-1]:
                heard.append(_state(systemd))
            assert heard[-1]["STATUS"] == "serving 1 skills"
            assert _next(systemd, "WATCHDOG") == _next(systemd, "WATCHDOG") == {"WATCHDOG": "1"}
            before = time.monotonic_ns() // 1_000
            server.hang_up()
            reloading = _next(systemd, "RELOADING")
            assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1_000
            assert _next(systemd, "READY") == {"READY": "1"}
            assert server.stop() == 0
            assert _next(systemd, "STOPPING") == {"STOPPING": "1"}


def test_sockets_that_systemd_opened_are_served(root: SkillsRoot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        number = passed.fileno()
        command = prepared(
            f"import os; os.dup2({number}, 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))"
        )
        with Server(root.path, at=(), command=command, pass_fds=(number,)) as server:
            assert server.port == passed.getsockname()[1]
            assert server.get("/v1/version").status_code == 200


def test_the_log_is_json_for_those_who_ask(root: SkillsRoot) -> None:
    arguments = ("--log-format", "json", "--insecure", "--host", "0.0.0.0", root.path)
    with Server(*arguments, ready=False, at=("--port", "0")) as server:
        server.wait_for_log("serving ")
        server.hang_up()
        server.wait_for_log("was read again")
        server.stop()
        lines = [json.loads(line) for line in server.log.splitlines()]
    assert {"time", "level", "logger", "message"} == set(lines[0])
    assert lines[0]["level"] == "warning"


def test_a_root_that_must_be_there_and_is_not_makes_it_unready_and_no_more(tmp_path: Path) -> None:
    with Server(tmp_path / "missing") as server:
        answer = server.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "missing" in answer.json()["why"][0]
        assert server.get("/v1/snapshot").json()["skills"] == []
        SkillsRoot(tmp_path / "missing").add("pdf")
        wait_for(lambda: server.get("/readyz").status_code == 200)


def test_without_the_extra_the_command_says_how_to_get_it() -> None:
    for module in ("fastapi", "starlette", "uvicorn", "httptools", "pydantic", "prometheus_client"):
        hide = prepared(f"import sys; sys.modules[{module!r}] = None")
        done = _run(command=hide)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "pip install 'skills-refresh[serve]'\n")
        assert _run("--help", command=hide).returncode == 0


def test_what_keeps_the_skills_from_being_read_ends_the_server(root: SkillsRoot) -> None:
    program = (
        "from skills_refresh import Engine\n"
        "def make_waker(): raise OSError(24, 'Too many open files')\n"
        "Engine.__init__.__kwdefaults__['make_waker'] = make_waker"
    )
    done = _run("--port", "0", str(root.path), command=prepared(program))
    assert done.returncode == 2
    assert "skills-refresh: the engine cannot start: OSError(24, 'Too many open files')" in done.stderr


def test_help_teaches_what_to_start_it_with() -> None:
    shown = _run("--help").stdout
    for word in ("--host", "--port", "--uds", "--fd", "--token-file", "SKILLS_REFRESH_TOKEN", "--insecure", "Ctrl-C"):
        assert word in shown


def _state(systemd: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in systemd.recv(4_096).decode().splitlines())


def _next(systemd: socket.socket, name: str) -> dict[str, str]:
    """The next that systemd hears that tells of `name`."""
    while name not in (heard := _state(systemd)):
        pass
    return heard


def _run(
    *arguments: str, passed: tuple[int, ...] = (), command: tuple[str, ...] = COMMAND
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        pass_fds=passed,
        timeout=30,
        check=False,
    )
