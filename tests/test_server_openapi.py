"""What the server says of itself: its description, and its metrics. Schemathesis asks a real one whatever it can think
of, and compares the answers with the description."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import SkillsRoot
from .serving import Server, following

pytest.importorskip("fastapi", reason="needs the extra: pip install 'skills-refresh[serve]'")

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, TypeAdapter

from skills_refresh.server import answers
from skills_refresh.server.metrics import Metrics

# Waiting takes as long as it is asked for; and whoever asks for skills should mostly ask for one that there is.
_PARAMETERS = '[parameters]\n"query.timeout" = 0.01\n"path.name" = "pdf"\n"path.path" = "notes.md"\n'


@pytest.fixture
def server(skills_root: SkillsRoot) -> Iterator[Server]:
    """On a root with the skill `pdf` of two files, a large file, and a problem."""
    skills_root.add("pdf", files={"notes.md": "Notes.\n"})
    with (skills_root.path / "pdf/large.md").open("wb") as file:
        file.truncate(1_000_001)
    skills_root.write("bad/SKILL.md", "broken")
    with Server(skills_root.path) as server:
        yield server


def test_the_server_keeps_to_its_description_whatever_it_is_asked(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="needs schemathesis")
    (tmp_path / "parameters.toml").write_text(_PARAMETERS, encoding="utf-8")
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    options = ["--config-file", str(tmp_path / "parameters.toml"), "run", server.url + "/openapi.json"]
    # A stream of events has no end: it has tests of its own. Phases that follow links need something to create.
    which = ["--exclude-path", "/v1/events", "--phases", "examples,coverage,fuzzing", "--max-examples", "20"]
    how = ["--seed", "1", "--request-timeout", "10", "--no-shrink", "--continue-on-failure"]
    done = subprocess.run(
        [sys.executable, "-c", program, *options, *which, *how],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert "17 selected / 18 total" in done.stdout


def test_real_answers_have_the_shapes_that_are_described(server: Server) -> None:
    shapes: dict[str, Any] = {
        "/v1/snapshot": answers.SnapshotAnswer,
        "/v1/snapshot?view=complete": answers.CompleteAnswer,
        "/v1/snapshot?view=complete&since=1": answers.CompleteAnswer,
        "/v1/skills/pdf": answers.SkillDetailsAnswer,
        "/v1/skills/pdf/files": list[answers.FileAnswer],
        "/v1/version": answers.VersionAnswer,
        "/v1/health": answers.HealthAnswer,
        "/v1/doctor": answers.DoctorAnswer,
        "/readyz": answers.ReadyAnswer,
        "/nothing": answers.RefusalAnswer,
        "/.well-known/agent-skills/index.json": answers.IndexAnswer,
    }
    described = server.get("/openapi.json").json()["paths"]
    for path, shape in shapes.items():
        TypeAdapter(shape).validate_json(server.get(path).content)
        described.pop(path.partition("?")[0].replace("pdf", "{name}"), None)
    TypeAdapter(answers.VersionAnswer).validate_json(server.post("/v1/refresh").content)
    left = [
        path
        for path, methods in described.items()
        if "application/json"
        in methods.get("get", {"responses": {"200": {"content": {}}}})["responses"]["200"]["content"]
    ]
    assert left == [], "answers whose shape nobody compared"


def test_the_examples_of_the_description_look_like_what_is_answered(server: Server) -> None:
    models = [model for _, model in inspect.getmembers(answers, inspect.isclass) if issubclass(model, BaseModel)]
    examples = 0
    for model in models:
        for name, field in model.model_fields.items():
            for example in field.examples or ():
                examples += 1
                assert field.annotation is not None
                TypeAdapter(field.annotation).validate_python(example)
                if "sha256" in name or "digest" in name:
                    assert re.fullmatch("(sha256:)?[0-9a-f]{64}", example), (model, name)
    assert examples > 40
    text = server.get("/openapi.json").json()["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
    with following(server) as follower:
        real = follower.next()
        for block in text["text/event-stream"]["example"].strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            assert fields["event"] in ("ready", "changed")
            assert fields["id"] == str(json.loads(fields["data"])["version"])
            if fields["event"] == "ready":
                assert json.loads(fields["data"]).keys() <= real.data.keys()


def test_the_metrics_can_be_parsed_and_do_not_grow_with_what_is_asked(server: Server) -> None:
    for number in range(30):
        server.get(f"/nothing/{number}")
        server.get(f"/v1/skills/none-{number}")
        server.get(f"/v1/skills/pdf/files/none-{number}")
        server.request(("PUT", "PATCH", "DELETE")[number % 3], f"/v1/prompt?{number}")
    families = {family.name: family for family in text_string_to_metric_families(server.get("/metrics").text)}
    routes = {sample.labels["route"] for sample in families["skills_refresh_requests"].samples}
    assert routes == {"other", "/v1/skills/{name}", "/v1/skills/{name}/files/{path:path}", "/v1/prompt"}
    total = {sample.labels["route"]: sample.value for sample in families["skills_refresh_requests"].samples
             if sample.name.endswith("_total") and sample.labels["status"] == "404"}  # fmt: skip
    assert total["/v1/skills/{name}"] == 30
    assert families["skills_refresh_skills"].samples[0].value == 1
    assert families["skills_refresh_problems"].samples[0].labels["code"] == "no-frontmatter"
    modes = {sample.labels["mode"]: sample.value for sample in families["skills_refresh_root_mode"].samples}
    assert sum(modes.values()) == 1


def test_a_hosts_own_metrics_are_left_alone() -> None:
    first, second = Metrics(list), Metrics(list)  # which a registry that both shared would refuse
    first.count("/x", 200, 0.001)
    assert b"skills_refresh_requests_total" in first.render()
    assert b'route="/x"' not in second.render()
    assert b"skills_refresh" not in generate_latest(REGISTRY)
