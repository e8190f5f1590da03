"""The skills in an ASGI application: real applications, run by a real uvicorn."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import ClosedError, ConfigError, Settings, watch

from .conftest import SkillsRoot, skill_text, wait_for
from .engines import TurnedEngine
from .serving import Server, ask, following

pytest.importorskip("uvicorn", reason="needs the extra: pip install 'skills-refresh[serve]'")

import httpx
from fastapi import FastAPI

from skills_refresh.asgi import SkillsHost

EXAMPLES = Path(__file__).parents[1] / "examples"

_UVICORN = (sys.executable, "-m", "uvicorn", "application:app")
_FASTAPI = """
from typing import Annotated
from fastapi import Depends, FastAPI
import skills_refresh
from skills_refresh.asgi import SkillsHost

skills = SkillsHost(lambda: skills_refresh.watch("skills"))
app = FastAPI(lifespan=skills.lifespan)
app.mount("/team/skills", skills.routes({routes}))

@app.get("/names")
async def names(snapshot: Annotated[skills_refresh.Snapshot, Depends(skills.snapshot)]) -> list[str]:
    return list(snapshot.skills)
"""
_STARLETTE = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
import skills_refresh
from skills_refresh.asgi import SkillsHost

skills = SkillsHost(lambda: skills_refresh.watch("skills"))

@asynccontextmanager
async def lifespan(app):
    async with skills.lifespan(app) as state:
        yield {**state, "mine": "too"}

async def names(request):
    return JSONResponse([*request.state.skills.snapshot.skills, request.state.mine])

app = Starlette(routes=[Route("/names", names), Mount("/skills", skills.routes())], lifespan=lifespan)
"""


@contextmanager
def running(program: str, root: SkillsRoot) -> Iterator[Server]:
    """The application of `program`, which runs beside `root`."""
    directory = root.path.parent
    directory.joinpath("application.py").write_text(program, encoding="utf-8")
    with Server(command=_UVICORN, cwd=directory, ready=False) as server:
        server.wait_for_log("Uvicorn running on")
        yield server


def test_fastapi_gets_the_current_snapshot_as_a_dependency(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with running(_FASTAPI.format(routes=""), skills_root) as server:
        assert server.get("/names").json() == ["pdf"]
        skills_root.add("csv")
        wait_for(lambda: server.get("/names").json() == ["csv", "pdf"], "the new skill")


def test_starlette_gets_the_workspace_beside_what_its_own_lifespan_makes(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with running(_STARLETTE, skills_root) as server:
        assert server.get("/names").json() == ["pdf", "too"]
        assert "<name>pdf</name>" in server.get("/skills/v1/prompt").text


def test_the_routes_are_mounted_below_a_path(skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf", files={"extract.py": "print()\n"})
    skills_root.write("team/SKILL.md", skill_text("team/pdf"))
    with running(_FASTAPI.format(routes=""), skills_root) as server:
        below = "/team/skills"
        prompt = server.get(f"{below}/v1/prompt")
        assert str(directory) in prompt.text
        assert server.get(f"{below}/v1/prompt", headers={"If-None-Match": prompt.headers["etag"]}).status_code == 304
        assert server.get(f"{below}/v1/skills/pdf/files/extract.py").text == "print()\n"
        assert server.get(f"{below}/v1/skills/team%2Fpdf").json()["name"] == "team/pdf"
        assert server.get(f"{below}/v1/doctor").json()["roots"][0]["files"] == 3
        assert server.get(f"{below}/openapi.json").json()["info"]["title"] == "skills-refresh"
        assert server.get(below, follow_redirects=True).headers["content-type"].startswith("text/html")
        skills_root.add("csv")
        synced = server.post(f"{below}/v1/sync").json()
        assert server.get(f"{below}/v1/snapshot").json()["version"] == synced["version"]
        assert server.get("/names").json() == ["csv", "pdf", "team/pdf"]


def test_followers_of_mounted_routes_hear_of_changes_and_do_not_hold_up_the_end(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with running(_FASTAPI.format(routes=""), skills_root) as server, following(server, "/team/skills/v1/events") as one:
        assert one.next().name == "ready"
        skills_root.add("csv")
        assert [item["skill"] for item in one.until("changed").data["changes"]] == ["csv"]
        server.process.terminate()
        server.wait()
        assert one.until("closing").data["type"] == "closing"


def test_mounted_routes_ask_for_a_token_and_know_their_names(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    routes = "token='secret', hosts=['Gateway.example'], origins=['https://ui.example']"
    with running(_FASTAPI.format(routes=routes), skills_root) as server:
        path, token = "/team/skills/v1/version", {"Authorization": "Bearer secret"}
        assert server.get(path).status_code == 401
        assert server.get(path, headers=token).status_code == 200
        assert server.get(path, headers={**token, "Host": "gateway.example"}).status_code == 200
        assert server.get(path, headers={**token, "Host": "evil.example"}).status_code == 421
        assert server.get(path, headers={**token, "Origin": "https://evil.example"}).status_code == 403
        allowed = server.get(path, headers={**token, "Origin": "https://ui.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://ui.example"
        for path in ("/team/skills/", "/team/skills/page.js", "/team/skills/healthz"):  # a browser has no token yet
            assert server.get(path).status_code == 200


def test_an_application_may_be_started_again(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills = SkillsHost(lambda: watch(skills_root.path))
    app = FastAPI(lifespan=skills.lifespan)
    app.mount("/skills", skills.routes())
    for _ in range(2):
        assert ask(app, "/skills/v1/skills/pdf").json()["name"] == "pdf"
        with pytest.raises(ClosedError, match="give the application `lifespan`"):
            _ = skills.workspace


def test_without_its_lifespan_the_routes_say_what_is_missing(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))
    app = FastAPI()
    app.mount("/skills", skills.routes())
    answer = ask(app, "/skills/v1/prompt")
    assert answer.status_code == 503
    assert "lifespan" in answer.json()["cure"]


def test_one_host_runs_with_one_application_at_a_time(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))

    async def enter_twice() -> None:
        async with skills.lifespan():
            with pytest.raises(ConfigError, match="make one for each application"):
                async with skills.lifespan():
                    pass
            assert not (await skills.snapshot()).skills

    asyncio.run(enter_twice())


def test_the_application_does_not_start_where_the_skills_cannot_be_followed(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path, settings=Settings(extensions=("",))))
    app = FastAPI(lifespan=skills.lifespan)
    for _ in range(2):
        with pytest.raises(ConfigError, match="extension"):
            ask(app, "/")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [({}, 403), ({"insecure": True}, 200), ({"token": "secret"}, 401)],
)
def test_without_a_token_mounted_routes_are_for_this_machine_alone(
    skills_root: SkillsRoot, arguments: dict[str, Any], status: int
) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))
    app = FastAPI(lifespan=skills.lifespan)
    app.mount("/skills", skills.routes(**arguments))
    assert ask(app, "/skills/v1/prompt", client="192.0.2.7").status_code == status


def test_a_request_that_its_host_gives_up_is_cancelled(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))
    routes = skills.routes()
    began = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        began.set()

    async def follow() -> None:
        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "GET", "path": "/v1/events", "headers": headers, "query_string": b""}
        async with skills.lifespan():
            following = asyncio.create_task(routes(scope, receive, send))
            await began.wait()
            following.cancel()
            await asyncio.wait([following])
            assert following.cancelled()

    asyncio.run(follow())


@pytest.mark.parametrize(
    "arguments",
    [
        {"token": ""},
        {"token": "secret\n"},
        {"hosts": "gateway.example"},
        {"hosts": ["https://gateway.example"]},
        {"hosts": ["gateway.example:80"]},
        {"hosts": ["*"]},
        {"origins": ["gateway.example"]},
        {"origins": "https://gateway.example"},
    ],
)
def test_routes_refuse_what_makes_no_sense_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="routes"):
        SkillsHost(watch).routes(**arguments)


def test_routes_cannot_be_mounted_once_the_application_runs(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))

    async def mount_late() -> None:
        async with skills.lifespan():
            with pytest.raises(ConfigError, match="before it starts"):
                skills.routes()

    asyncio.run(mount_late())


def test_followers_are_ended_when_the_host_says_so(skills_root: SkillsRoot) -> None:
    skills = SkillsHost(lambda: watch(skills_root.path))
    app = FastAPI(lifespan=skills.lifespan)
    app.mount("/skills", skills.routes())

    @app.get("/ending")
    async def ending() -> None:
        skills.close_followers()

    async def follow() -> str:
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
            await client.get("http://localhost/ending")
            return (await client.get("http://localhost/skills/v1/events")).text  # it has an end

    assert "event: closing" in asyncio.run(follow())


def test_a_workspace_with_a_time_to_live_stays_awake_as_long_as_the_application_runs(skills_root: SkillsRoot) -> None:
    with TurnedEngine() as engine:
        nobodys = engine.open([skills_root.path], idle_s=30)
        skills = SkillsHost(lambda: engine.open([skills_root.path], idle_s=30))

        async def run() -> None:
            async with skills.lifespan():
                await asyncio.to_thread(engine.put_asleep, nobodys)
                assert skills.workspace.health[0].mode == "native"

        asyncio.run(run())


@pytest.mark.parametrize("make", ["skills", None])
def test_what_makes_no_workspace_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError, match="SkillsHost"):
        SkillsHost(make)
    with pytest.raises(ConfigError, match="must return a workspace"):
        ask(FastAPI(lifespan=SkillsHost(lambda: make).lifespan), "/")


@pytest.mark.parametrize("module", ["fastapi", "prometheus_client"])
def test_without_the_extra_the_routes_say_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith(("skills_refresh.server", module)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'skills-refresh\[serve\]'"):
        SkillsHost(watch).routes()


def test_nothing_of_a_framework_is_imported_before_its_routes_are_wanted(tmp_path: Path) -> None:
    program = (
        "import sys, skills_refresh.asgi; print([name for name in sys.modules if name in ('fastapi', 'starlette')])"
    )
    assert _output_of(program, tmp_path) == "[]"


def _output_of(program: str, directory: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _example(name: str, skills_root: SkillsRoot) -> Server:
    """One of the examples, on the skills of a test."""
    directory = skills_root.path.parent
    shutil.copy(EXAMPLES / f"{name}.py", directory)
    return Server(command=(sys.executable, "-m", "uvicorn", f"{name}:app"), cwd=directory, ready=False)


def test_the_fastapi_example_tells_each_agent_what_changed_since_its_last_turn(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with _example("fastapi_gateway", skills_root) as server:
        server.wait_for_log("Uvicorn running on")
        first = server.post("/turns/alice").json()
        assert (first["changes"], "<name>pdf</name>" in first["prompt"]) == (["added pdf"], True)
        assert server.post("/turns/alice").json() == {"version": first["version"], "changes": [], "prompt": "as before"}
        skills_root.edit("pdf", body="Do it otherwise.\n")
        server.post("/skills/v1/sync")
        edited = server.post("/turns/alice").json()
        assert (edited["changes"], edited["prompt"]) == (["changed pdf"], "as before")
        assert server.post("/turns/bob").json()["changes"] == ["added pdf"]


def test_the_starlette_example_answers_with_the_prompt(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with _example("starlette_gateway", skills_root) as server:
        server.wait_for_log("Uvicorn running on")
        assert server.get("/prompt").text == server.get("/skills/v1/prompt").text
