"""A local endpoint that misbehaves as told, and counts what it was asked and what it would bill."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Plan = Callable[[dict[str, Any], int], Any]
"""From the body and the number of the attempt (from 0) at this question: what to do.

"ok", "cut body", "half a completion", "drop",
("status", code, body, headers) or ("message", message, finish, usage).
"""


class FakeEndpoint:
    """What the server saw."""

    def __init__(self, plan: Plan, delay: float) -> None:
        self.plan, self.delay = plan, delay
        self.lock = threading.Lock()
        self.attempts: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        """Per question, answers that were sent whole."""
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.times: list[tuple[str, float]] = []
        self.busy = self.most_busy = 0
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    state: FakeEndpoint

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        state = self.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = question_of(body)
        with state.lock:
            attempt = state.attempts[question]
            state.attempts[question] += 1
            state.bodies.append(body)
            state.keys.add(self.headers["Authorization"])
            state.times.append((question, time.monotonic()))
            state.busy += 1
            state.most_busy = max(state.most_busy, state.busy)
        try:
            assert self.path == "/v1/chat/completions"
            time.sleep(state.delay)
            with suppress(ConnectionError):  # the client waits no longer
                self._act(state.plan(body, attempt), body, question)
        finally:
            with state.lock:
                state.busy -= 1

    def _act(self, action: Any, body: dict[str, Any], question: str) -> None:
        if action == "drop":
            self.close_connection = True
            return
        if isinstance(action, tuple) and action[0] == "status":
            self._send(action[1], json.dumps(action[2]).encode(), action[3] if len(action) > 3 else {})
            return
        message: dict[str, Any] = {"role": "assistant", "content": json.dumps({"label": f"answer to {question}"})}
        finish, usage = "stop", usage_of(body)
        if isinstance(action, tuple):
            _, message, finish, usage = action
        whole = completion(message, finish, usage, body["model"])
        if action == "cut body":
            self._send(200, whole[: len(whole) // 2], {}, length=len(whole))
            self.close_connection = True
        elif action == "half a completion":
            self._send(200, whole[: len(whole) // 2], {})
        else:
            with self.state.lock:
                self.state.paid[question] += 1
            self._send(200, whole, {})

    def _send(self, status: int, data: bytes, headers: dict[str, str], length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        if status != 200 and "Retry-After" not in headers:
            self.send_header("Retry-After-Ms", "5")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def question_of(body: dict[str, Any]) -> str:
    """The question of a call, without the schema that it ends with."""
    return str(body["messages"][-1]["content"]).partition("\n\nAnswer with one JSON object of this JSON schema")[0]


def usage_of(body: dict[str, Any]) -> dict[str, int]:
    """What the fake bills: a third of the bytes, and half of the limit."""
    text = "".join(message["content"] for message in body["messages"])
    limit = body.get("max_tokens") or body["max_completion_tokens"]
    return {"prompt_tokens": len(text.encode()) // 3, "completion_tokens": limit // 2}


def completion(message: Any, finish: str, usage: Any, model: str) -> bytes:
    """A chat completion as bytes."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    value = {"id": "c", "object": "chat.completion", "model": f"{model}-0", "choices": [choice], "usage": usage}
    return json.dumps(value).encode()


@contextmanager
def serve(plan: Plan | None = None, *, delay: float = 0.0) -> Iterator[FakeEndpoint]:
    """Run a fake endpoint in a thread."""
    state = FakeEndpoint(plan or (lambda body, attempt: "ok"), delay)
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
