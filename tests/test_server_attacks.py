"""What the server withstands: paths that lead elsewhere, requests that make no sense, readers without a key."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import SkillsRoot
from .serving import Server

SECRET = "the secret of another"
TOKEN = "a-token-that-nobody-guesses"
FILES = "/v1/skills/pdf/files/"


@pytest.fixture
def root(skills_root: SkillsRoot) -> SkillsRoot:
    """With the skill `pdf`, and secrets beside it and outside of the root."""
    skills_root.add("pdf", files={"notes.md": "Notes.\n", ".env": SECRET, "plan.md": "Plan.\n"})
    skills_root.write("secret.md", SECRET)
    (skills_root.path.parent / "outside.md").write_text(SECRET, encoding="utf-8")
    return skills_root


@pytest.fixture
def server(root: SkillsRoot) -> Iterator[Server]:
    with Server(root.path) as server:
        yield server


def test_no_spelling_of_a_path_leads_out_of_a_skill(server: Server, root: SkillsRoot) -> None:
    spellings = [
        "../secret.md", "..%2fsecret.md", "%2e%2e/secret.md", "%2e%2e%2fsecret.md", "%252e%252e%252fsecret.md",
        "..%5csecret.md", "..\\secret.md", "./../secret.md", "scripts/../../secret.md", "notes.md/../../secret.md",
        "../../outside.md", "..%c0%afsecret.md", "%c0%ae%c0%ae/secret.md", "../pdf/notes.md", "./notes.md",
        "/notes.md", "//notes.md", "notes.md/", "notes.md%00", "%00", "notes.md%00.png", "NOTES.MD", ".env", ".", "..",
        "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "~/x", "notes.md%20", "notes.md.",
        str(root.path / "secret.md"), "x" * 5_000, "../" * 500 + "etc/passwd", "%ff%fe", "notes.md;x", "SKILL.md/..",
    ]  # fmt: skip
    for spelling in spellings:
        answer = server.ask(FILES + spelling)
        assert re.match(rb"HTTP/1.1 (404|307|400)", answer), (spelling, answer[:200])
        assert SECRET.encode() not in answer, spelling
        assert b"root:" not in answer, spelling
    for name in ("..", "%2e%2e", "pdf%2f..", "pdf/..", "%00", "*", "\\", "pdf%00"):
        assert SECRET.encode() not in (found := server.ask(f"/v1/skills/{name}/files/secret.md")), name
        assert found.startswith(b"HTTP/1.1 404"), name
        assert server.ask(f"/.well-known/agent-skills/{name}/SKILL.md").startswith(b"HTTP/1.1 404"), name
    assert server.get(FILES + "notes.md").text == "Notes.\n"
    assert server.get(FILES + "notes%2Emd").text == "Notes.\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.md", "../../same.md", "/dev/zero"])
def test_a_file_that_becomes_a_link_is_not_followed_out(server: Server, root: SkillsRoot, target: str) -> None:
    file = root.path / "pdf/notes.md"
    (root.path.parent / "same.md").write_text("Notes.\n", encoding="utf-8")
    for _ in range(8):
        temporary = file.with_name("link")
        temporary.symlink_to(target)
        temporary.replace(file)  # the snapshot still lists the file that was there
        answer = server.get(FILES + "notes.md")
        assert answer.status_code in (403, 404, 409), answer.text
        assert SECRET not in answer.text
        root.write("pdf/notes.md", "Notes.\n")
        server.post("/v1/refresh")
    assert server.get(FILES + "notes.md").text == "Notes.\n"


def test_a_directory_on_the_way_that_becomes_a_link_is_not_followed(server: Server, root: SkillsRoot) -> None:
    root.write("pdf/docs/outside.md", "Harmless.\n")
    server.post("/v1/refresh")
    assert server.get(FILES + "docs/outside.md").text == "Harmless.\n"
    (root.path / "pdf/docs").rename(root.path / "pdf/other")
    (root.path / "pdf/docs").symlink_to(root.path.parent)
    assert server.get(FILES + "docs/outside.md").status_code in (403, 404, 409)


def test_what_is_answered_is_what_its_etag_says(server: Server, root: SkillsRoot) -> None:
    answers = []
    for number in range(40):
        root.write("pdf/notes.md", f"Notes {number}.\n")  # which the snapshot does not know yet
        answer = server.get(FILES + "notes.md")
        answers.append(answer.status_code)
        if answer.status_code == 200:
            assert answer.headers["etag"] == f'"sha256:{hashlib.sha256(answer.content).hexdigest()}"'
    assert set(answers) <= {200, 409}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a file of another user")
def test_a_hard_link_to_a_file_of_another_user_is_not_read(server: Server, root: SkillsRoot) -> None:
    foreign = root.path.parent / "foreign.md"
    foreign.write_text(SECRET, encoding="utf-8")
    os.chown(foreign, 12_345, 12_345)
    (root.path / "pdf/plan.md").unlink()
    os.link(foreign, root.path / "pdf/plan.md")
    assert SECRET not in server.get(FILES + "plan.md").text
    server.post("/v1/refresh")
    answer = server.get(FILES + "plan.md")
    assert answer.status_code in (403, 404, 409)
    assert SECRET not in answer.text


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(server: Server, root: SkillsRoot) -> None:
    with (root.path / "pdf/large.md").open("wb") as file:
        file.truncate(16_000_001)
    server.post("/v1/refresh")
    assert server.get(FILES + "large.md").status_code == 413
    plan = root.path / "pdf/plan.md"
    plan.unlink()
    os.mkfifo(plan)  # opening it must not wait for a writer
    assert server.get(FILES + "plan.md").status_code in (403, 404, 409)


def test_a_name_that_leads_here_is_not_enough_to_be_answered(root: SkillsRoot) -> None:
    with Server("--allow-host", "Gateway.Example", root.path) as server:
        for host, status in {
            "evil.example": 421, f"evil.example:{server.port}": 421, "127.0.0.1.evil.example": 421, "": 421,
            "localhost.evil.example": 421, "127.0.0.1:80:80": 421, "notlocalhost": 421, "evil.example.": 421,
            "localhost": 200, f"LOCALHOST:{server.port}": 200, "127.0.0.1": 200, "[::1]:80": 200, "192.168.1.7:80": 200,
            "gateway.example": 200, "GATEWAY.example:443": 200, "skills.localhost": 200,
        }.items():  # fmt: skip
            for path in ("/v1/prompt", "/", "/healthz", "/metrics", "/nothing"):
                answer = server.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                got = int(answer.split()[1])
                assert (got == 421) == (status == 421), (host, path, answer[:300])
        assert server.send(b"GET /v1/prompt HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421")
        two = b"GET /v1/prompt HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert server.send(two).startswith(b"HTTP/1.1 400")


def test_pages_of_other_origins_may_use_nothing_unless_they_were_allowed(root: SkillsRoot) -> None:
    friend, evil = "https://gateway.example", "https://evil.example"
    with Server("--allow-origin", friend, root.path) as server:
        for origin in (evil, "null", "http://localhost:1", "http://127.0.0.1.evil.example", f"{friend}.evil.example"):
            for answer in (
                server.get("/v1/prompt", headers={"origin": origin}),
                server.post("/v1/refresh", headers={"origin": origin}),
                server.request("OPTIONS", "/v1/prompt", headers={"origin": origin}),
            ):
                assert answer.status_code == 403
                assert "access-control-allow-origin" not in answer.headers
        asked = {"origin": friend, "access-control-request-method": "POST"}
        preflight = server.request("OPTIONS", "/v1/refresh", headers=asked)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, friend)
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        assert server.get("/v1/prompt", headers={"origin": friend}).headers["access-control-allow-origin"] == friend
        assert server.get("/v1/prompt", headers={"origin": server.url}).status_code == 200
        assert "access-control-allow-origin" not in server.get("/v1/prompt").headers


def test_every_answer_keeps_browsers_from_taking_it_for_something_else(server: Server) -> None:
    for path in ("/", "/page.js", "/v1/snapshot", "/v1/skills/pdf/instructions", FILES + "notes.md", "/nothing"):
        headers = server.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
    assert "html" not in server.get(FILES + "notes.md").headers["content-type"]


def test_without_the_token_nothing_but_the_page_and_the_probes_answers(root: SkillsRoot, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'roots = ["{root.path}"]\n[workspaces.alice]\nroots = ["{root.path}"]\n', encoding="utf-8")
    with Server("--config", config, environment={"SKILLS_REFRESH_TOKEN": TOKEN}) as server:
        right = {"authorization": f"Bearer {TOKEN}"}
        described = server.get("/openapi.json", headers=right).json()["paths"]
        routes = [(path, method) for path, methods in described.items() for method in methods]
        open_routes = {"/healthz", "/readyz"}
        assert len(routes) > 20
        texts = []
        for path, method in routes:
            filled = path.format(name="pdf", path="notes.md", workspace="alice")
            for given in (
                None,
                "Bearer",
                "Bearer ",
                f"Bearer {TOKEN}x",
                f"Bearer {TOKEN[:-1]}",
                f"Basic {TOKEN}",
                TOKEN,
            ):
                headers = () if given is None else (f"Authorization: {given}",)
                answer = server.ask(filled, *headers, method=method.upper())
                assert int(answer.split()[1]) == (200 if path in open_routes else 401), (path, given)
                texts.append(answer.decode())
        for path in ("/openapi.json", "/nothing", "/w/alice/healthz/x", "//v1/prompt", "/v1/prompt/", "/./v1/prompt"):
            assert server.ask(path).startswith(b"HTTP/1.1 401"), path
        for path in ("/", "/page.css", "/page.js", "/icon.svg", "/w/alice/", "/healthz"):
            assert server.get(path).status_code == 200, path
        assert server.ask("/v1/prompt", method="OPTIONS").startswith(b"HTTP/1.1 405")
        assert server.get("/v1/prompt", headers=right).status_code == 200
        assert server.get("/v1/prompt", headers={"authorization": f"bearer  {TOKEN}"}).status_code == 200
        texts += [server.get(path, headers=right).text for path in ("/metrics", "/openapi.json", "/v1/doctor", "/x")]
        assert not [text for text in [*texts, server.log] if TOKEN in text or TOKEN[:-1] in text]
        assert texts[0]


def test_requests_that_make_no_sense_are_refused_and_do_no_harm(server: Server) -> None:
    post = b"POST /v1/refresh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    get = b"GET /v1/prompt HTTP/1.1\r\nHost: localhost\r\n"
    for request, statuses in {
        get + b"X: " + b"x" * 400_000 + b"\r\n\r\n": (431, 0),
        get + b"".join(b"X-%d: x\r\n" % number for number in range(40_000)) + b"\r\n": (431, 0),
        b"GET /" + b"x" * 400_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n": (431, 0),
        post + b"Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{x}": (422,),
        post + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n\xff\xfe": (400, 422),
        post + b'Content-Type: text/plain\r\nContent-Length: 21\r\n\r\n{"reason": "manual"}\r\n': (200, 422),
        post + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60_000: (400, 422),
        post + b"Content-Type: application/json\r\nContent-Length: 70000\r\n\r\n": (413,),
        post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n": (411,),
        post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x": (400, 411),
        post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!": (400,),
        post + b"Content-Length: -1\r\n\r\n": (400,),
        post + b"Content-Length: 99999999999999999999\r\n\r\n": (400, 413),
        post + b"Transfer-Encoding: gzip, chunked, identity\r\n\r\n": (400, 411),
        b"GET /v1/prompt\r\n\r\n": (400, 421),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": (400,),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": (400,),
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": (400, 404, 405),
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n": (400, 404, 405),
        b"GET http://evil.example/v1/prompt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": (200, 400),
        b"GET /v1/prompt\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": (400, 404),
        b"GET /v1/version?after=" + b"9" * 5_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": (422,),
        get + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n": (200, 400),
        get + b"Bad Header: x\r\n\r\n": (400,),
        get + b"X: a\r\n b\r\n\r\n": (400,),
        get + b"If-None-Match: " + b"," * 60_000 + b"\r\nConnection: close\r\n\r\n": (200,),
        get + b"Origin: \xff\xfe\r\nConnection: close\r\n\r\n": (403,),
        get + b"Authorization: \xff\xfe\r\nConnection: close\r\n\r\n": (200,),
        b"HEAD /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": (200,),
    }.items():
        answer = server.send(request)
        # 0: it closed before it had read everything, so what it answered may be lost.
        status = int(answer.split()[1]) if answer else 0
        assert status in statuses, (request[:100], answer[:300])
    assert server.get("/healthz").status_code == 200
    memory = server.memory()
    with server.open() as endless:
        endless.sendall(get + b"X: ")
        with pytest.raises(ConnectionError):
            endless.sendall(b"x" * 50_000_000)
    assert server.memory() - memory < 20_000_000
