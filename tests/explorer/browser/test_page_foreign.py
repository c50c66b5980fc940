"""Other pages in the same browser against the server: what they may read of a run, and what they may make it do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from explorer_runs import Made
from test_explore_cli import exploring

REBOUND = "rebound.localhost"
"""A name that points at this machine, as anybody can let one of theirs."""


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port(hostile: Made) -> Iterator[int]:
    with exploring(str(hostile.run), "--port", "0") as (_, found, _):
        yield found


@pytest.fixture
def foreign(browser, port: int) -> Iterator[object]:
    """A page of another port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    yield page
    context.close()
    server.shutdown()


POST = "method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'"
OUTCOME = ".then(async (answer) => `read ${await answer.text()}`, () => 'refused')"
ATTEMPTS = {
    "read the list of runs": f"fetch(at + 'data/runs.json'){OUTCOME}",
    "read a part": f"fetch(at + 'data/run/items.parquet'){OUTCOME}",
    "read with a simple request": f"fetch(at + 'data/runs.json', {{mode: 'no-cors'}}){OUTCOME}",
    "ask the chat": f"fetch(at + 'chat', {{method: 'POST', mode: 'no-cors', body: '{{}}'}}){OUTCOME}",
    "ask the chat as JSON": f"fetch(at + 'chat', {{{POST}}}){OUTCOME}",
    "run its script": """new Promise((done) => {
        const script = Object.assign(document.createElement('script'), {src: at + 'app.js'});
        script.onload = () => done('ran');
        script.onerror = () => done('refused');
        document.head.append(script);
    })""",
    "show its picture": """new Promise((done) => {
        const picture = Object.assign(new Image(), {src: at + 'icon.svg'});
        picture.onload = () => done('shown');
        picture.onerror = () => done('refused');
    })""",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_another_page_reads_nothing(foreign, port: int, attempt: str):
    found = foreign.evaluate(f"(at) => {ATTEMPTS[attempt]}", f"http://127.0.0.1:{port}/")
    assert found == "refused"


def test_another_page_cannot_frame_it(foreign, port: int):
    """A refused frame is an error page of another origin, and holds nothing of ours."""
    foreign.evaluate(
        """(at) => new Promise((done) => {
            const frame = Object.assign(document.createElement('iframe'), {src: at, onload: () => done()});
            document.body.append(frame);
        })""",
        f"http://127.0.0.1:{port}/",
    )
    inside = [frame for frame in foreign.frames if frame != foreign.main_frame]
    assert [frame.evaluate("document.querySelector('#app') === null") for frame in inside] == [True]


def test_a_name_that_points_here_is_another_host(foreign, port: int):
    answer = foreign.goto(f"http://{REBOUND}:{port}/")
    assert answer.status == 421
    assert "own address" in foreign.inner_text("body")
    assert foreign.evaluate("fetch('data/runs.json').then((answer) => answer.status)") == 421


def test_a_link_elsewhere_leads_here(foreign, port: int):
    foreign.evaluate("(at) => { location.href = at + '#/run/card'; }", f"http://127.0.0.1:{port}/")
    foreign.wait_for_selector("#main")
    assert foreign.url.endswith("#/run/card")
