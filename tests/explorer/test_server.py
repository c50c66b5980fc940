"""The explorer's server: what it answers, and to whom."""

from __future__ import annotations

import asyncio
import io
import json
from urllib.parse import unquote

import polars as pl
import pytest
from explorer_runs import Made
from starlette.testclient import TestClient

from competency_gaps.errors import UserError
from competency_gaps.explorer import page_files as page_module
from competency_gaps.explorer.opened import Opened, open_runs
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.server import app as app_module

PORT = 8742
PAGE = {name: f"this is {name}".encode() for name in page_module.FILES}
REFUSED = {"error": "Requests of other pages are refused."}


@pytest.fixture(scope="module")
def opened(hostile: Made) -> list[Opened]:
    return open_runs([hostile.run], hostile.dictionary)


@pytest.fixture(scope="module")
def client(opened: list[Opened]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "page_files", lambda: PAGE)
        application = app_module.make_app(opened, port=PORT)
    with TestClient(application, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False) as found:
        yield found


@pytest.mark.parametrize("name", page_module.FILES)
def test_the_page_is_given_with_its_types(client: TestClient, name: str):
    answer = client.get("/" if name == "index.html" else f"/{name}")
    assert (answer.status_code, answer.content) == (200, PAGE[name])
    assert answer.headers["content-type"] == page_module.FILES[name]


def test_a_page_that_was_not_built_says_so(tmp_path):
    (tmp_path / "index.html").write_text("")
    with pytest.raises(UserError, match=r"app\.js.*make page"):
        page_module.page_files(tmp_path)


def test_the_list_of_runs(client: TestClient, hostile: Made):
    found = client.get("/data/runs.json").json()
    assert found["runs"] == [{"key": "run", "title": hostile.run.name}]
    assert found["mode"] == "served"
    assert found["chat"]["configured"] is False
    assert "--base-url" in found["chat"]["note"]


def test_parts_are_those_that_the_parts_make(client: TestClient, opened: list[Opened]):
    parts = Parts(opened[0].run, key="run", dictionary=opened[0].dictionary)
    for name in ("concepts.parquet", "concepts/0.parquet", "items.parquet", "themes.json"):
        answer = client.get(f"/data/run/{name}")
        assert answer.status_code == 200
        assert answer.content == parts.read(name), name
    table = pl.read_parquet(io.BytesIO(client.get("/data/run/items.parquet").content))
    assert table.height == opened[0].run.items.height


def test_every_part_is_there(client: TestClient, opened: list[Opened]):
    """Also of concepts that are never active, and of items that are excluded or a megabyte long."""
    names = list(Parts(opened[0].run, key="run", dictionary=opened[0].dictionary).names())
    assert len(names) > opened[0].run.width + opened[0].run.items.height
    assert [name for name in names if client.get(f"/data/run/{name}").status_code != 200] == []


@pytest.mark.parametrize(
    "path",
    [
        "/data/other/run.json",
        "/data/RUN/run.json",
        "/data/run/",
        "/data/run/manifest.json",
        "/data/run/concepts.parquet/",
        "/data/run/concepts/99.parquet",
        "/data/run/concepts/-1.parquet",
        "/data/run/concept/٣.json",
        "/data/run/concept/1.json%00",
        "/data/run/concept/99999999999999999999.json",
        "/data/run/../run/run.json/../../../manifest.json",
        "/data/run/..%2fmanifest.json",
        "/data/run/%2e%2e/manifest.json",
        "/data/run/%252e%252e%252fmanifest.json",
        "/data/run/..\\manifest.json",
        "/data/run/..%5cmanifest.json",
        "/data/run/%c0%ae%c0%ae/manifest.json",
        "/data/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/data/%2fetc%2fpasswd/run.json",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/index.html",
        "/page/app.js",
        "/app.js/../../manifest.json",
        "/app.js.map",
        "/data",
        "/data/",
        "/chat",
        "/docs",
        "/%",
    ],
)
def test_whatever_else_is_asked_for_is_not_there(opened: list[Opened], client: TestClient, path: str):
    answer = raw_get(client, path)
    assert answer["status"] == 404
    assert isinstance(json.loads(answer["body"])["error"], str)
    assert b"root:" not in answer["body"]
    assert b"schema_version" not in answer["body"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8742",
        "127.0.0.1",
        "127.0.0.1:8743",
        "127.0.0.1:8742.evil.example",
        "localhost",
        "LOCALHOST.:8742",
        "0.0.0.0:8742",
        "127.0.0.2:8742",
        "2130706433:8742",
        "",
        "127.0.0.1:8742@evil.example",
    ],
)
def test_other_hosts_are_refused(client: TestClient, host: str):
    answer = client.get("/data/run/run.json", headers={"host": host})
    assert answer.status_code == 421
    assert "this machine" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8742", "localhost:8742", "[::1]:8742"])
def test_own_hosts_are_answered(client: TestClient, host: str):
    assert client.get("/data/runs.json", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


def test_two_hosts_are_refused(client: TestClient):
    headers = [(b"host", b"127.0.0.1:8742"), (b"host", b"evil.example")]
    assert raw_get(client, "/", headers)["status"] == 421
    assert raw_get(client, "/", [])["status"] == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:8742",
        "http://127.0.0.1",
        "http://127.0.0.1:8743",
        "",
        "http://127.0.0.1:8742/",
        "http://127.0.0.1:8742.evil.example",
        "file://",
        "chrome-extension://abc",
    ],
)
def test_other_origins_are_refused(client: TestClient, origin: str):
    answer = client.get("/data/runs.json", headers={"origin": origin})
    assert (answer.status_code, answer.json()) == (403, REFUSED)


@pytest.mark.parametrize("path", ["/data/runs.json", "/data/run/run.json", "/app.js"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_may_read_nothing(client: TestClient, path: str, site: str):
    """Another port of this machine is the same site, but another page."""
    for mode in ("cors", "no-cors", "navigate"):
        answer = client.get(path, headers={"sec-fetch-site": site, "sec-fetch-mode": mode})
        assert (answer.status_code, answer.json()) == (403, REFUSED)


def test_a_link_elsewhere_may_lead_here(client: TestClient):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/", headers={**headers, "sec-fetch-mode": "no-cors"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/data/runs.json", "/data/run/run.json", "/nothing"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_nothing_can_be_written(client: TestClient, method: str, path: str):
    answer = client.request(method, path, headers={"origin": f"http://127.0.0.1:{PORT}"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_has_no_body(client: TestClient):
    answer = client.head("/data/runs.json")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 403),
        ({"content-type": "application/json", "origin": "http://evil.example"}, 403),
        ({"content-type": "text/plain", "origin": f"http://127.0.0.1:{PORT}"}, 415),
        ({"content-type": "multipart/form-data", "origin": f"http://127.0.0.1:{PORT}"}, 415),
        ({"origin": f"http://127.0.0.1:{PORT}"}, 415),
        ({"content-type": "application/json", "origin": f"http://127.0.0.1:{PORT}"}, 404),
    ],
)
def test_a_question_comes_from_our_page(client: TestClient, headers: dict[str, str], status: int):
    """The last one is heard; without an endpoint there is nobody to ask."""
    assert client.post("/chat", content=b"{}", headers=headers).status_code == status


def test_a_question_is_not_endless(client: TestClient):
    headers = {"content-type": "application/json", "origin": f"http://127.0.0.1:{PORT}"}
    assert client.post("/chat", content=b"x" * 1_000_001, headers=headers).status_code == 413

    def endless():
        yield b"{}"

    assert client.post("/chat", content=endless(), headers=headers).status_code == 411


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/app.js",
        "/data/runs.json",
        "/data/run/concepts.parquet",
        "/nothing",
        "/data/run/search?q=" + "x" * 2000,
        "/data/run/search?q=" + "x" * 5000,
        "/data/none/run.json",
        "/data/run/search?q=a",
    ],
)
def test_every_answer_is_fenced(client: TestClient, path: str):
    for answer in (client.get(path), client.get(path, headers={"host": "evil.example"}), client.delete(path)):
        policy = dict(one.split(" ", 1) for one in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "geolocation=()" in answer.headers["permissions-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_a_policy_in_the_page_says_nothing_of_frames():
    assert "frame-ancestors" not in page_module.content_security_policy(framed=True)


def test_a_search_finds_rows(client: TestClient, opened: list[Opened]):
    items = opened[0].run.items
    answer = client.get("/data/run/search", params={"q": "ROMAN"}).json()
    expected = items.with_row_index("row").filter(pl.col("text").str.to_lowercase().str.contains("roman", literal=True))
    assert answer["rows"] == expected["row"].to_list()
    assert answer["total"] == expected.height > 0


@pytest.mark.parametrize(("length", "status"), [(1000, 200), (1001, 400), (3990, 400), (4000, 414), (60_000, 414)])
def test_a_search_text_is_bounded(client: TestClient, length: int, status: int):
    answer = client.get("/data/run/search?q=" + "x" * length)
    assert answer.status_code == status
    assert ("rows" in answer.json()) == (status == 200)


@pytest.mark.parametrize("query", ["", "q=", "q=%ff%fe", "q=%00", "q=a&q=b", "Q=a", "q=.*[", "q='--"])
def test_odd_searches_are_answered(client: TestClient, query: str):
    answer = client.get(f"/data/run/search?{query}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"rows", "total"}


def test_a_damaged_run_says_what_to_do(client: TestClient, monkeypatch):
    def damaged(self, query, limit):
        raise UserError("items\u202e.parquet is missing. Run 'cgaps run' again.")

    monkeypatch.setattr(Parts, "search", damaged)
    answer = client.get("/data/run/search?q=a")
    assert (answer.status_code, answer.json()["error"]) == (
        500,
        "items<U+202E>.parquet is missing. Run 'cgaps run' again.",
    )


def test_a_fault_of_ours_shows_no_inside(client: TestClient, monkeypatch, caplog):
    def broken(self, query, limit):
        raise ZeroDivisionError("/home/somebody/secret")

    monkeypatch.setattr(Parts, "search", broken)
    answer = client.get("/data/run/search?q=a")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["error"]
    assert "secret" not in answer.text
    assert "/home/somebody/secret" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def raw_get(client: TestClient, path: str, headers: list[tuple[bytes, bytes]] | None = None) -> dict:
    """A request whose path no client has tidied: as uvicorn passes it on."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode())] if headers is None else headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", PORT),
    }
    found: dict = {"body": b""}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        found["status"] = message.get("status", found.get("status"))
        found["body"] += message.get("body", b"")

    asyncio.run(client.app(scope, receive, send))
    return found
