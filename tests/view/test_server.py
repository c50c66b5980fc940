"""The explorer's server: what it answers."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from explorer_runs import Made
from explorer_server import PAGE, raw_request, served
from starlette.testclient import TestClient

from competency_gaps.runs.open import RunFolder
from competency_gaps.util.checked import write_document
from competency_gaps.util.errors import UserError
from competency_gaps.view.page import page_files as page_module
from competency_gaps.view.page.opened import Opened, open_runs
from competency_gaps.view.page.parts import Context, Parts


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
    (run,) = found["runs"]
    assert (run["key"], run["title"]) == ("run", hostile.run.name)
    assert found["mode"] == "served"


def test_parts_are_those_that_the_parts_make(client: TestClient, opened: list[Opened]):
    parts = Parts(Context(opened[0].run, "run", dictionary=opened[0].dictionary))
    for name in ("concepts.parquet", "concepts/0.parquet", "items.parquet", "slices.json", "answers/0.json"):
        answer = client.get(f"/data/run/{name}")
        assert answer.status_code == 200
        assert answer.content == parts.read(name), name
    table = pl.read_parquet(io.BytesIO(client.get("/data/run/items.parquet").content))
    assert table.height == opened[0].run.items.height


@pytest.mark.parametrize(
    "path",
    [
        "/data/other/run.json",
        "/data/run/manifest.json",
        "/data/run/concepts/99.parquet",
        "/data/run/concept/99999999999999999999.json",
        "/data/run/..%2fmanifest.json",
        "/data/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/%",
    ],
)
def test_whatever_else_is_asked_for_is_not_there(client: TestClient, path: str):
    answer = raw_request(client, path)
    assert answer["status"] == 404
    assert isinstance(json.loads(answer["body"])["error"], str)
    assert b"root:" not in answer["body"]
    assert b"schema_version" not in answer["body"]


def test_names_that_are_asked_for_are_not_remembered(client: TestClient):
    before = sum(isinstance(one, asyncio.Lock) for one in gc.get_objects())
    for number in range(30):
        assert client.get(f"/data/run/no-{number}.json").status_code == 404
    assert sum(isinstance(one, asyncio.Lock) for one in gc.get_objects()) <= before + 1


def test_a_search_finds_rows(client: TestClient, opened: list[Opened]):
    items = opened[0].run.items
    answer = client.get("/data/run/search", params={"q": "ROMAN"}).json()
    expected = items.with_row_index("row").filter(pl.col("text").str.to_lowercase().str.contains("roman", literal=True))
    assert answer["rows"] == expected["row"].to_list()
    assert answer["total"] == expected.height > 0


def faulty(opened: Opened, before: Callable[[], object]) -> Opened:
    """A run in the explorer that calls ``before`` whenever it reads a table."""

    class Faulty(RunFolder):
        def scan(self, name):
            before()
            return super().scan(name)

    run = Faulty(opened.run.path, opened.run.manifest)
    return Opened(opened.key, opened.title, run, opened.dictionary, opened.stamp)


def test_a_damaged_run_says_what_to_do(opened: list[Opened]):
    def damaged():
        raise UserError("items\u202e.parquet is missing. Run 'cgaps run' again.")

    with served([faulty(opened[0], damaged)]) as client:
        answer = client.get("/data/run/search?q=a")
    assert (answer.status_code, answer.json()["error"]) == (
        500,
        "items<U+202E>.parquet is missing. Run 'cgaps run' again.",
    )


def test_an_unexpected_fault_is_not_shown_in_detail(opened: list[Opened], caplog):
    def broken():
        raise ZeroDivisionError("/home/somebody/secret")

    with served([faulty(opened[0], broken)]) as client:
        answer = client.get("/data/run/search?q=a")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["error"]
    assert "secret" not in answer.text
    assert "/home/somebody/secret" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_added_to_a_run_is_shown(hostile: Made, tmp_path: Path):
    run = Path(shutil.copytree(hostile.run, tmp_path / "run"))
    (one,) = open_runs([run])
    with served([one]) as client:
        assert client.get("/data/run/run.json").json()["verdicts"] is None
        verdict = {"code": "split_halves", "outcome": "few", "numbers": {}, "tone": "open"}
        write_document(run / "robustness.json", {"seed": 0, "verdicts": [verdict]})
        (shown,) = client.get("/data/run/run.json").json()["verdicts"]
        assert shown["test"] == "split halves" and shown["sentence"].startswith("Too few") and shown["tone"] == "open"
        assert client.get("/data/run/concept/1.json").status_code == 200


@pytest.mark.parametrize("name", ["manifest.json", "concepts.parquet", "regions.parquet"])
@pytest.mark.parametrize("how", ["written", "removed"])
def test_a_run_that_was_made_anew_is_not_shown(hostile: Made, tmp_path: Path, name: str, how: str):
    run = Path(shutil.copytree(hostile.run, tmp_path / "run"))
    with served(open_runs([run])) as client:
        paths = ("run.json", "concepts.parquet", "concept/1.json", "search?q=a")
        assert {client.get(f"/data/run/{path}").status_code for path in paths} == {200}
        state = (run / name).stat()
        if how == "written":
            os.utime(run / name, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
        else:
            (run / name).rename(run / "gone")
        for path in paths:
            answer = client.get(f"/data/run/{path}")
            assert answer.status_code == 409 and "cgaps explore" in answer.json()["error"]
        assert client.get("/data/runs.json").status_code == 200
