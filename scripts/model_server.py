"""A model's stand-in behind OpenAI's chat completions, on this machine: it notes what it is sent, and says "Done"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_CHUNKS = [
    {"delta": {"role": "assistant", "content": "Done"}, "index": 0, "finish_reason": None},
    {"delta": {}, "index": 0, "finish_reason": "stop"},
]


class ModelServer(ThreadingHTTPServer):
    """`system` holds the system message of each request, in order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.system: list[str] = []

    @property
    def url(self) -> str:
        """Where the model is."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert isinstance(self.server, ModelServer)
        self.server.system += [message["content"] for message in asked["messages"] if message["role"] == "system"]
        events = [{"id": "1", "object": "chat.completion.chunk", "model": "stub", "choices": [it]} for it in _CHUNKS]
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, events), "[DONE]"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """The stub, while the block lasts."""
    with ModelServer() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
