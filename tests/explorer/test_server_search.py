"""Searches on the server: a few at once, and none goes on for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from explorer_runs import Made
from explorer_server import PORT, served

from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts.records.server import SearchResult
from competency_gaps.explorer.parts.texts import Texts
from competency_gaps.explorer.server import app as app_module
from competency_gaps.explorer.server import sending


def test_only_a_few_go_on_at_once(hostile: Made, monkeypatch):
    running, most, lock = 0, 0, threading.Lock()

    def slow(texts, query, limit, stop):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return SearchResult([], 0)

    monkeypatch.setattr(Texts, "search", slow)
    with served(open_runs([hostile.run])) as client, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.get("/data/run/search?q=a").status_code, range(6)))
    assert answers == [200] * 6
    assert most == app_module.SEARCHES


def test_who_goes_away_ends_a_search(hostile: Made, monkeypatch):
    ended: list[bool] = []

    def long(texts, query, limit, stop):
        end = time.monotonic() + 10
        while not stop() and time.monotonic() < end:
            time.sleep(0.01)
        ended.append(stop())
        return SearchResult([], 0)

    monkeypatch.setattr(Texts, "search", long)
    monkeypatch.setattr(sending, "LOOK", 0.01)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/data/run/search",
        "raw_path": b"/data/run/search",
        "query_string": b"q=a",
        "root_path": "",
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode())],
    }
    start = time.monotonic()

    async def receive():
        return {"type": "http.disconnect" if time.monotonic() - start > 0.1 else "http.request", "body": b""}

    async def send(_message):
        return None

    with served(open_runs([hostile.run])) as client:
        asyncio.run(client.app(scope, receive, send))
        while not ended and time.monotonic() - start < 5:  # its thread looks a moment later
            time.sleep(0.01)
    assert ended == [True]
    assert time.monotonic() - start < 5
