"""What a server says is believed when it adds up. Here a server says whatever a test wants it to."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("httpx_sse", reason="needs the extra `client`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")


from skills_refresh import RootHealth, ServerError, Snapshot, connect
from skills_refresh.changes import compare
from skills_refresh.client import requests
from skills_refresh.client.rebuilding import later_than
from skills_refresh.encoding import JsonObject, complete_json, ready_json
from skills_refresh.server.events import encode_change, encode_event

from .conftest import wait_for
from .test_changes import make_skill, make_snapshot
from .test_client import Told


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


def test_a_reset_to_an_earlier_version_is_followed_too(teller: tuple[type[Teller], str]) -> None:
    telling, url = teller
    with connect(url) as skills:
        before = skills.version
        other = make_snapshot(400, make_skill("docx"))
        telling.events = encode_event("reset", {"type": "reset", "version": 400, "digest": other.digest}, 400)
        telling.asked.clear()
        tell(telling, other)
        wait_for(lambda: list(skills.snapshot.skills) == ["docx"])
        assert skills.version > before
        assert "snapshot" in telling.asked[0]  # because of the event, before it connected again


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
    late = Snapshot(900, 100, other.skills, tuple, {})
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
