"""The static explorer: what is written is what a server would send, and nothing that was to be left out."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys

import polars as pl
import pytest
from explorer_runs import NAMES, SECRETS
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.errors import UserError
from competency_gaps.explorer import export as export_module
from competency_gaps.explorer import page_files as page_module
from competency_gaps.explorer.export import CONCEPTS, DIGITS, ITEMS, MARK, export, pack, read_part, unpack
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.amounts import EXPORTED

INDEX = (
    '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="utf-8" />\n  </head>\n  <body></body>\n</html>\n'
)


@pytest.fixture(autouse=True, scope="module")
def page(tmp_path_factory):
    """A page that stands for the built one."""
    folder = tmp_path_factory.mktemp("page")
    for name in page_module.FILES:
        (folder / name).write_text(INDEX if name == "index.html" else name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "page_files", lambda: page_module.page_files(folder))
        yield folder


@pytest.fixture(scope="module")
def opened(hostile):
    return open_runs([hostile.run], hostile.dictionary)


@pytest.fixture(scope="module")
def exported(opened, tmp_path_factory):
    return export(opened, tmp_path_factory.mktemp("out") / "audit")


def _names(folder, key):
    return [str(path.relative_to(folder / "data"))[:-3] for path in (folder / "data" / key).rglob("*.js")]


@given(st.binary(max_size=400))
def test_packed_bytes_come_back(content):
    text = pack(content)
    assert unpack(text) == content
    assert not set(text) & set('\n\r"\\') and len(text) == -(-8 * len(content) // 7)


def test_parts_are_those_of_a_server(opened, exported):
    one = opened[0]
    parts = Parts(
        one.run,
        key=one.key,
        dictionary=one.dictionary,
        concepts_per_part=CONCEPTS,
        items_per_part=ITEMS,
        digits=DIGITS,
        amounts=EXPORTED,
    )
    names = list(parts.names())
    assert sorted(_names(exported.folder, one.key)) == sorted(f"{one.key}/{name}" for name in names)
    for name in names:
        assert read_part(exported.folder, f"{one.key}/{name}") == parts.read(name)
    runs = json.loads(read_part(exported.folder, "runs.json"))
    assert runs["mode"] == "static" and runs["chat"] is None
    assert [run["key"] for run in runs["runs"]] == [one.key] == exported.runs


def test_tables_and_details_are_the_runs(opened, exported):
    run, key = opened[0].run, opened[0].key
    table = pl.read_parquet(io.BytesIO(read_part(exported.folder, f"{key}/concepts.parquet")))
    for name in ("chi_bench", "chi_model", "gap", "gap_low", "q_value", "lift"):
        shown, known = table[name].cast(pl.Float64), run.concepts[name]
        assert shown.is_null().to_list() == known.is_null().to_list()
        both = pl.DataFrame({"shown": shown, "known": known}).drop_nulls().filter(pl.col("known").is_finite())
        assert ((both["shown"] - both["known"]).abs() <= 10.0**-DIGITS * both["known"].abs()).all()
    items = json.loads(read_part(exported.folder, f"{key}/item/1.json"))
    assert [item["item"] for item in items] == list(range(ITEMS, run.items.height))
    assert [item["text"] for item in items] == run.items["text"][ITEMS:].to_list()
    longest = run.items["text"].str.len_chars().arg_max()
    detail = json.loads(read_part(exported.folder, f"{key}/item/{longest // ITEMS}.json"))[longest % ITEMS]
    assert len(detail["text"]) == EXPORTED.text and detail["cut"]["after"] > 900_000


def test_a_script_calls_one_function_with_two_strings(opened, exported):
    for path in (exported.folder / "data").rglob("*.js"):
        text = path.read_bytes().decode("utf-8")
        name = str(path.relative_to(exported.folder / "data"))[:-3]
        assert re.fullmatch(r'cgapsPart\("[^"\\\n\r]*","[^"\\\n\r]*"\);\n', text) and json.dumps(name) in text


def test_the_page_knows_its_mode_and_keeps_to_itself(exported):
    index = (exported.folder / "index.html").read_text()
    assert '<html data-mode="static" lang="en">' in index
    policy = re.search(r'<head>\s*<meta http-equiv="Content-Security-Policy" content="([^"]*)" />', index)
    assert policy and "default-src &#x27;none&#x27;" in policy[1] and "frame-ancestors" not in policy[1]
    assert "http" not in policy[1] and "unsafe-eval" not in policy[1]


def test_redacted_export_holds_no_text_of_the_run(opened, tmp_path):
    one = opened[0]
    done = export(opened, tmp_path / "audit", redact=True)
    texts = set(SECRETS)
    for column in ("prompt", "text", "response", "answer"):
        texts |= {text for text in one.run.items[column].drop_nulls() if len(text) > 12}
    needles = {json.dumps(text, ensure_ascii=False)[1:-1] for text in texts} | texts
    for name in [*_names(done.folder, one.key), "runs.json"]:
        content = read_part(done.folder, name)
        shown = content.decode("utf-8", "replace")
        assert not [needle[:60] for needle in needles if needle in shown], name
    facts = json.loads(read_part(done.folder, f"{one.key}/run.json"))
    assert facts["redacted"] is True
    assert json.loads((done.folder / MARK).read_text())["redacted"] is True


def test_secrets_are_found_where_they_are_not_left_out(opened, exported):
    found = "".join(
        read_part(exported.folder, name).decode("utf-8", "replace") for name in _names(exported.folder, opened[0].key)
    )
    assert all(secret in found for secret in SECRETS), "else the test above could not fail"


def test_an_older_export_is_replaced_and_a_foreign_folder_is_not(opened, tmp_path):
    target = tmp_path / "audit"
    export(opened, target)
    stale = target / "data" / opened[0].key / "concept" / "99.json.js"
    stale.write_text("old")
    export(opened, target, redact=True)
    assert not stale.exists() and json.loads((target / MARK).read_text())["redacted"]
    assert [path.name for path in tmp_path.iterdir()] == ["audit"], "nothing is left beside it"
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"also holds notes\.txt"):
        export(opened, target)
    assert (target / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is no older export: it holds activations"):
        export(opened, opened[0].run.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        export(opened, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be made"):
        export(opened, tmp_path / "file" / "audit")
    (tmp_path / ".mine.part").mkdir()
    (tmp_path / ".mine.part" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"also holds thesis\.txt"):
        export(opened, tmp_path / "mine")
    assert (tmp_path / ".mine.part" / "thesis.txt").exists()
    (tmp_path / "empty").mkdir()
    assert export(opened, tmp_path / "empty").files > 5


def test_a_stopped_export_leaves_the_older_one_and_is_repeated(opened, tmp_path, monkeypatch):
    target = tmp_path / "audit"
    export(opened, target)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    read, calls = Parts.read, []

    def stop(self, name):
        calls.append(name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return read(self, name)

    monkeypatch.setattr(Parts, "read", stop)
    with pytest.raises(KeyboardInterrupt):
        export(opened, target, redact=True)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    half = tmp_path / ".audit.part"
    assert half.is_dir() and not (half / MARK).exists() and not (half / "index.html").exists()
    monkeypatch.undo()
    shutil.rmtree(target)
    export(opened, target, redact=True)
    assert json.loads((target / MARK).read_text())["redacted"] and not half.exists()


def test_a_damaged_part_is_named(exported, tmp_path, opened):
    folder = tmp_path / "copy"
    shutil.copytree(exported.folder, folder)
    path = folder / "data" / opened[0].key / "run.json.js"
    name = f"{opened[0].key}/run.json"
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole[:50], whole.replace("cgapsPart", "other"), whole[:-20] + '");\n'):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(UserError, match=r"run\.json\.js is missing or damaged"):
            read_part(folder, name)
    path.write_text(f'cgapsPart("{name}","{pack(gzip.compress(b"{}"))}");\n', encoding="utf-8")
    assert read_part(folder, name) == b"{}"


def test_command_line(hostile, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", "from competency_gaps.cli.app import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    if not (page_module.PAGE / "index.html").is_file():
        pytest.skip("the page is not built")
    assert run("export", tmp_path / "x").returncode == 2
    done = run("export", hostile.run, tmp_path / "out", "--dictionary", hostile.dictionary, "--redact", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["runs"] == ["run"] and facts["redacted"] is True and NAMES[0] not in done.stdout
    size = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert facts["bytes"] == size
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'data-mode="static"' in index
    again = run("export", hostile.run, hostile.run, tmp_path / "two")
    assert again.returncode == 2 and "given 2 times" in again.stderr
