"""What is sent reaches the endpoint that was named, and nobody else."""

from __future__ import annotations

import pytest
from endpoint_helpers import heard, quick, request

from competency_gaps.endpoint import AnswerStore, ask
from competency_gaps.endpoint.endpoint import is_here, proxy_of
from competency_gaps.errors import UserError
from fake_endpoint import serve

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """The tests' own environment names no proxy and no key."""
    for name in (*PROXIES, *(name.lower() for name in PROXIES), "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_not_followed(tmp_path, status):
    with serve() as other:
        moved = ("status", status, {}, {"Location": f"{other.url}/chat/completions"})
        with serve(lambda body, attempt: moved) as fake, pytest.raises(UserError, match="sends to another") as error:
            ask([request(1)], quick(fake.url), AnswerStore(tmp_path / "answers"), None, heard()[0])
    assert not other.bodies and not other.keys
    assert len(fake.bodies) == 1
    assert f"status {status} to {other.url}" in str(error.value)


def test_what_is_on_this_machine_is_asked_without_a_proxy(tmp_path, monkeypatch):
    with serve() as proxy, serve() as fake:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        ask([request(1)], quick(fake.url), AnswerStore(tmp_path / "answers"), None, heard()[0])
    assert len(fake.bodies) == 1
    assert not proxy.bodies


def test_the_proxy_of_other_hosts_is_known_without_its_password(monkeypatch):
    assert proxy_of("https://models.example.org/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example.org:3128")
    assert proxy_of("https://models.example.org/v1") == "proxy.example.org:3128"
    assert proxy_of("http://models.example.org/v1") is None
    assert proxy_of("https://localhost:8080/v1") is None
    monkeypatch.setenv("NO_PROXY", "models.example.org")
    assert proxy_of("https://models.example.org/v1") is None
    monkeypatch.setenv("ALL_PROXY", "other.example.org:1080")
    assert proxy_of("http://others.example.org/v1") == "other.example.org:1080"


def test_only_loopback_is_this_machine():
    for host in ("localhost", "127.0.0.1:8080", "127.8.9.1", "[::1]:80"):
        assert is_here(f"http://{host}/v1")
    for host in ("localhost.example.org", "10.0.0.1", "0.0.0.0", "example.org", "[2001:db8::1]"):
        assert not is_here(f"http://{host}/v1")
