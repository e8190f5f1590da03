"""What the server answers: a real one, in a process of its own, asked through real sockets."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from skills_refresh import scan

from .conftest import SkillsRoot, skill_text, wait_for
from .serving import Server, following, httpx, prepared


@pytest.fixture
def server(skills_root: SkillsRoot) -> Iterator[Server]:
    """On a root with the skills `pdf`, of one file, and `tool`, of two."""
    skills_root.add("pdf")
    skills_root.add("tool", body="Use it.\n", files={"scripts/run.py": "print(1)\n"})
    with Server(skills_root.path) as server:
        yield server


def test_the_snapshot_is_the_one_that_a_scan_finds(server: Server, skills_root: SkillsRoot) -> None:
    fresh = scan([skills_root.path]).snapshot
    answer = server.get("/v1/snapshot").json()
    assert answer["digest"] == fresh.digest
    assert [skill["name"] for skill in answer["skills"]] == ["pdf", "tool"]
    assert answer["problems"] == []


def test_each_etag_gives_304_until_what_it_names_is_another(server: Server, skills_root: SkillsRoot) -> None:
    paths = [
        "/v1/snapshot",
        "/v1/snapshot?view=complete",
        "/v1/prompt",
        "/v1/skills/tool/instructions",
        "/v1/skills/tool/files/SKILL.md",
        "/v1/skills/tool/files/scripts/run.py",
        "/.well-known/agent-skills/pdf/SKILL.md",
        "/",
    ]
    etags = {path: server.get(path).headers["etag"] for path in paths}
    for path, etag in etags.items():
        for sent in (etag, f'"other", {etag}', "*"):
            again = server.get(path, headers={"if-none-match": sent})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), (path, sent)
        assert server.get(path, headers={"if-none-match": '"other"'}).status_code == 200, path
    skills_root.add("tool", description="Another.", body="Another.\n", files={"scripts/run.py": "print(2)\n"})
    server.post("/v1/refresh")
    known = {path: server.get(path, headers={"if-none-match": etag}).status_code for path, etag in etags.items()}
    assert known == {path: 304 if path in ("/", "/.well-known/agent-skills/pdf/SKILL.md") else 200 for path in paths}


def test_a_body_that_is_edited_leaves_the_prompts_etag_as_it_was(server: Server, skills_root: SkillsRoot) -> None:
    prompt, snapshot = server.get("/v1/prompt"), server.get("/v1/snapshot")
    assert prompt.text == scan([skills_root.path]).snapshot.prompt()
    skills_root.add("pdf", body="Do it otherwise.\n")
    after = server.post("/v1/refresh").json()
    assert f'W/"{after["version"]}"' != snapshot.headers["etag"]
    assert f'"{after["prompt_version"]}"' == prompt.headers["etag"]
    assert server.get("/v1/prompt", headers={"if-none-match": prompt.headers["etag"]}).status_code == 304


def test_snapshots_are_compressed_for_those_who_ask(server: Server, skills_root: SkillsRoot) -> None:
    for number in range(20):
        skills_root.add(f"skill-{number}")
    server.post("/v1/refresh")
    plain = server.get("/v1/snapshot", headers={"accept-encoding": "identity"}).content
    for accepted in ("gzip", "br, gzip;q=0.5", "identity", "gzip;q=0", "gzip; q=0.00", "", "*"):
        with httpx.stream("GET", server.url + "/v1/snapshot", headers={"accept-encoding": accepted}) as answer:
            raw = b"".join(answer.iter_raw())
        wanted = accepted in ("gzip", "br, gzip;q=0.5")
        assert answer.headers.get("content-encoding") == ("gzip" if wanted else None), accepted
        assert answer.headers["vary"] == "accept-encoding"
        assert (gzip.decompress(raw) if wanted else raw) == plain


def test_the_complete_view_holds_every_byte_and_tells_what_differs_since(
    server: Server, skills_root: SkillsRoot
) -> None:
    first = server.get("/v1/snapshot?view=complete").json()
    assert (first["previous"], [skill["name"] for skill in first["skills"]]) == (None, ["pdf", "tool"])
    assert b64decode(first["skills"][0]["source"]) == (skills_root.path / "pdf/SKILL.md").read_bytes()
    skills_root.add("new")
    (skills_root.path / "pdf/SKILL.md").unlink()
    server.post("/v1/refresh")
    later = server.get(f"/v1/snapshot?view=complete&since={first['version']}").json()
    assert (later["previous"], later["removed"]) == (first["version"], ["pdf"])
    assert [skill["name"] for skill in later["skills"]] == ["new"]
    unknown = server.get("/v1/snapshot?view=complete&since=12").json()
    assert (unknown["previous"], [skill["name"] for skill in unknown["skills"]]) == (None, ["new", "tool"])


def test_one_skill_is_told_with_its_files_and_what_it_shadows(tmp_path: Path) -> None:
    first, second = SkillsRoot(tmp_path / "first"), SkillsRoot(tmp_path / "second")
    first.add("pdf", body="The first.\n", files={"run.py": "x\n"})
    second.add("pdf", body="The second.\n")
    with Server(first.path, second.path) as server:
        skill = server.get("/v1/skills/pdf").json()
        assert (skill["instructions"], skill["root"]) == ("The first.\n", str(first.path))
        assert skill["shadows"] == [str(second.path / "pdf/SKILL.md")]
        assert server.get("/v1/skills/pdf/instructions").text == "The first.\n"
        files = server.get("/v1/skills/pdf/files").json()
        assert [file["path"] for file in files] == ["SKILL.md", "run.py"]
        content = server.get("/v1/skills/pdf/files/run.py")
        assert content.content == b"x\n"
        assert content.headers["etag"] == f'"sha256:{files[1]["sha256"]}"'
        assert content.headers["content-disposition"] == "attachment"


def test_bytes_that_are_no_text_are_answered_all_the_same(skills_root: SkillsRoot) -> None:
    skills_root.write("odd/SKILL.md", skill_text("odd").encode() + b"\xff\xfe \xed\xa0\x80\n")
    skills_root.write("values/SKILL.md", skill_text("values", "d\nnumber: .nan\nday: 2026-01-01\nbig: 1e999"))
    name = "caf\udce9"
    try:
        skills_root.write(f"{name}/SKILL.md", "---\ndescription: Does it.\n---\n")
    except OSError:
        name = "odd"  # a file system that wants UTF-8
    with Server(skills_root.path) as server:
        for path in ("/v1/snapshot", "/v1/snapshot?view=complete", "/v1/prompt", "/metrics", "/v1/doctor"):
            assert server.get(path).status_code == 200, path
        assert b"NaN" not in server.get("/v1/skills/values").content
        assert server.get("/v1/skills/odd/instructions").status_code == 200
        assert server.get("/.well-known/agent-skills/index.json").status_code == 200
        assert any(skill["name"] == name for skill in server.get("/v1/snapshot").json()["skills"])
    with Server(skills_root.path / name) as server:  # a root that is no text
        for path in ("/v1/health", "/metrics", "/v1/doctor", "/readyz"):
            assert server.get(path).status_code == 200, path


def test_a_question_for_a_later_version_waits_until_there_is_one(server: Server, skills_root: SkillsRoot) -> None:
    version = server.get("/v1/version").json()["version"]
    assert server.get(f"/v1/version?after={version - 1}").json()["version"] == version
    began = time.monotonic()
    assert server.get(f"/v1/version?after={version}&timeout=0.3").json()["version"] == version
    assert 0.3 <= time.monotonic() - began < 5
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(server.get(f"/v1/version?after={version}&timeout=20").json()["version"])
    )
    asking.start()
    skills_root.add("new")
    asking.join(10)
    assert answers[0] > version


def test_a_version_that_is_far_ahead_is_waited_for_through_others(server: Server, skills_root: SkillsRoot) -> None:
    version = server.get("/v1/version").json()["version"]
    with following(server) as follower:
        asked = server.open()
        asked.sendall(f"GET /v1/version?after={version + 10**9}&timeout=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began = time.monotonic()
        skills_root.add("new")
        changed = follower.until("changed")
        answer = b""
        while b"digest" not in answer:
            answer += asked.recv(65_536)
        assert str(changed.id).encode() in answer
        assert time.monotonic() - began > 0.9
        asked.close()


def test_who_waits_for_a_version_and_goes_away_frees_its_place(skills_root: SkillsRoot) -> None:
    with Server("--max-followers", "1", skills_root.path) as server:
        waiting = server.open()
        waiting.sendall(b"GET /v1/version?after=9999999999999&timeout=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: server.get("/v1/version?after=0").status_code == 503)
        waiting.close()
        wait_for(lambda: server.get("/v1/version?after=0").status_code == 200)


def test_a_refresh_answers_with_the_version_that_everybody_gets_from_then_on(
    server: Server, skills_root: SkillsRoot
) -> None:
    for number in range(20):
        skills_root.add(f"new-{number}")
        version = server.post("/v1/refresh", json={"reason": "remote"}).json()["version"]
        found = server.get("/v1/snapshot").json()
        assert found["version"] >= version
        assert f"new-{number}" in [skill["name"] for skill in found["skills"]]
    assert server.post("/v1/refresh").status_code == 200
    assert server.post("/v1/refresh", json={"reason": "because"}).status_code == 422


def test_each_workspace_is_served_below_its_name(tmp_path: Path) -> None:
    SkillsRoot(tmp_path / "top").add("pdf")
    SkillsRoot(tmp_path / "alice").add("mail")
    config = tmp_path / "config.toml"
    config.write_text(f'roots = ["top"]\n[workspaces.alice]\nroots = ["{tmp_path / "alice"}"]\n', encoding="utf-8")
    with Server("--config", config) as server:
        for prefix, name in (("", "pdf"), ("/w/alice", "mail")):
            assert [skill["name"] for skill in server.get(prefix + "/v1/snapshot").json()["skills"]] == [name]
            assert server.get(prefix + "/.well-known/agent-skills/index.json").json()["skills"][0]["name"] == name
            with following(server, prefix + "/v1/events") as follower:
                assert follower.next().data["roots"][0]["path"] == str(tmp_path / ("alice" if prefix else "top"))
        for path in ("/w/bob/v1/snapshot", "/w/bob/v1/events", "/w//v1/snapshot", "/w/alice/healthz"):
            assert server.get(path).status_code == 404, path
        assert "/w/{workspace}/v1/snapshot" in server.get("/openapi.json").json()["paths"]


def test_the_index_leads_to_what_it_promises(server: Server, skills_root: SkillsRoot) -> None:
    place = "/.well-known/agent-skills/"
    index = server.get(place + "index.json").json()
    assert index["$schema"] == "https://schemas.agentskills.io/discovery/0.2.0/schema.json"
    kinds = {entry["name"]: entry["type"] for entry in index["skills"]}
    assert kinds == {"pdf": "skill-md", "tool": "archive"}
    for entry in index["skills"]:
        data = server.get(place + entry["url"]).content
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == entry["digest"]
        assert server.get(place + entry["url"]).content == data
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        unpacked = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]  # all are files
    assert unpacked == {name: (skills_root.path / "tool" / name).read_bytes() for name in unpacked}
    assert unpacked.keys() == {"SKILL.md", "scripts/run.py"}
    assert server.get(place + "pdf.tar.gz").status_code == 404


def test_a_name_that_breaks_the_specification_still_makes_an_address(skills_root: SkillsRoot) -> None:
    skills_root.write("odd/SKILL.md", "---\nname: 'what? 100% #1 é'\ndescription: Does it.\n---\n")
    with Server(skills_root.path) as server:
        entry = server.get("/.well-known/agent-skills/index.json").json()["skills"][0]
        assert server.get("/.well-known/agent-skills/" + entry["url"]).status_code == 200


def test_a_slash_in_a_name_is_encoded(skills_root: SkillsRoot) -> None:
    skills_root.write("team/SKILL.md", skill_text("team/pdf", body="Both."))
    skills_root.write("team/scripts/run.py", "print(1)\n")
    with Server(skills_root.path) as server:
        assert server.get("/v1/skills/team%2Fpdf/instructions").text == "Both."
        assert server.get("/v1/skills/team%2fpdf/files/scripts/run.py").content == b"print(1)\n"
        assert server.get("/v1/skills/team%2Fpdf/files/scripts%2Frun.py").content == b"print(1)\n"
        entry = server.get("/.well-known/agent-skills/index.json").json()["skills"][0]
        served = server.get(f"/.well-known/agent-skills/{entry['url']}").content
        assert entry["digest"] == f"sha256:{hashlib.sha256(served).hexdigest()}"
        assert server.get("/v1/skills/team/pdf").status_code == 404


def test_what_only_looks_like_an_encoded_slash_is_a_name_of_its_own(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"a/b.md": "in a\n", "a%2Fb.md": "its name\n", "50%25.md": "percent\n"})
    with Server(skills_root.path) as server:
        assert server.get("/v1/skills/pdf/files/a/b.md").text == "in a\n"
        assert server.get("/v1/skills/pdf/files/a%2fb.md").text == "in a\n"
        assert server.get("/v1/skills/pdf/files/a%252Fb.md").text == "its name\n"
        assert server.get("/v1/skills/pdf/files/50%2525.md").text == "percent\n"


def test_head_answers_as_get_does_without_a_body(server: Server) -> None:
    for path in ("/", "/v1/prompt", "/v1/snapshot", "/v1/events", "/healthz", "/v1/skills/tool/files/scripts/run.py"):
        answer = server.request("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b""), path
        if path != "/v1/events":
            assert answer.headers["content-length"] == server.get(path).headers["content-length"], path


def test_a_skill_with_a_file_that_cannot_be_read_stays_in_the_index(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"secret.md": "x"})
    unreadable = (
        "from skills_refresh import skill_content; real = skill_content.read_target\n"
        "from skills_refresh.reading import FileEntry\n"
        "refused = FileEntry(None, error=('unreadable', 'cannot be read: Permission denied'))\n"
        "skill_content.read_target = lambda path, *rest: refused if 'secret' in path else real(path, *rest)"
    )
    with Server(skills_root.path, command=prepared(unreadable)) as server:
        assert server.get("/v1/skills/pdf/files/secret.md").status_code == 403
        entry = server.get("/.well-known/agent-skills/index.json").json()["skills"][0]
        assert (entry["name"], entry["type"]) == ("pdf", "skill-md")


def test_refusals_are_problem_details_with_a_cure(server: Server) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/v1/skills/none", 404),
        ("GET", "/v1/skills/none/instructions", 404),
        ("GET", "/v1/skills/pdf/files/none.md", 404),
        ("GET", "/v1/snapshot?view=half", 422),
        ("GET", "/v1/version?after=x", 422),
        ("GET", "/v1/version?after=1&timeout=1000", 422),
        ("GET", "/v1/version?after=1&timeout=nan", 422),
        ("GET", "/w/nobody/v1/snapshot", 404),
        ("PUT", "/v1/snapshot", 405),
        ("GET", "/v1/refresh", 405),
        ("POST", "/v1/prompt", 405),
    ):
        answer = server.request(method, path)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, problem["status"]) == (status, status), path
        assert problem["title"]
        assert problem["detail"]
        assert problem["cure"]
        assert status != 405 or answer.headers["allow"] in ("GET", "POST")
