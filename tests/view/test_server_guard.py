"""The explorer's server: whose requests it hears."""

from __future__ import annotations

import pytest
from explorer_server import PORT
from starlette.testclient import TestClient

REFUSED = {"error": "Requests of other pages are refused."}


@pytest.mark.parametrize(
    "host",
    ["evil.example:8742", "127.0.0.1:8743", "127.0.0.1:8742.evil.example", "", "127.0.0.1:8742@evil.example"],
)
def test_other_hosts_are_refused(client: TestClient, host: str):
    answer = client.get("/data/run/run.json", headers={"host": host})
    assert answer.status_code == 421
    assert "this machine" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8742", "localhost:8742", "[::1]:8742"])
def test_own_hosts_are_answered(client: TestClient, host: str):
    assert client.get("/data/runs.json", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:8742",
        "http://127.0.0.1:8743",
        "http://127.0.0.1:8742.evil.example",
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


@pytest.mark.parametrize(
    "path",
    ["/", "/app.js", "/data/runs.json", "/data/run/concepts.parquet", "/nothing", "/data/run/search?q=a"],
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
