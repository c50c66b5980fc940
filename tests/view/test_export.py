"""Exports: a folder is what a server would send, one file opens by itself, and what was to be left out is nowhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import runpy
import shutil
from pathlib import Path

import polars as pl
import pytest
from explorer_extras import with_extras
from explorer_runs import HOME, SECRETS
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.findings.items import detail
from competency_gaps.findings.kept import answers
from competency_gaps.runs.scores import model_scores, read_scores
from competency_gaps.util.errors import UserError
from competency_gaps.view.page import export as export_module
from competency_gaps.view.page import page_files as page_module
from competency_gaps.view.page.export import MARK, MAX_FILE_BYTES, _context, export, export_file
from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.page.parts import Parts
from core_helpers import seal

INDEX = '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="utf-8" />\n  </head>\n</html>\n'


def read_part(folder, name):
    """A part of an exported folder, read as the page reads it."""
    text = (folder / "data" / f"{name}.js").read_text(encoding="utf-8")
    content = text.removeprefix(f'cgapsPart({json.dumps(name)},"').removesuffix('");\n')
    return gzip.decompress(base64.b64decode(content, validate=True))


@pytest.fixture(autouse=True, scope="module")
def page(tmp_path_factory):
    """A page that stands for the built one."""
    folder = tmp_path_factory.mktemp("page")
    for name in page_module.FILES:
        (folder / name).write_text(INDEX if name == "index.html" else f"/* {name} */")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "page_files", lambda: page_module.page_files(folder))
        yield folder


@pytest.fixture(scope="module")
def exported(opened, tmp_path_factory):
    return export(opened, tmp_path_factory.mktemp("out") / "audit")


def names_of(folder):
    return sorted(str(path.relative_to(folder / "data"))[:-3] for path in (folder / "data").rglob("*.js"))


def blocks_of(file):
    """Contents of the blocks of one file by their names."""
    block = r'<script type="text/plain" id="([^"]+)"(?: data-numbers="([^"]+)")?>([^<]*)</script>'
    blocks = re.findall(block, file.read_text())
    held = {name: gzip.decompress(base64.b64decode(content)) for name, _, content in blocks}
    assert all(list(json.loads(held[name])) == numbers.split() for name, numbers, _ in blocks if numbers)
    return held


def details_of(blocks, kind):
    """Details of a kind in these blocks by their numbers."""
    made = (json.loads(content) for name, content in blocks.items() if re.fullmatch(rf"{kind}/\d+", name))
    return {int(number): detail for details in made for number, detail in details.items()}


def test_a_folder_holds_the_parts_of_a_server(opened, exported):
    (run,) = opened
    parts = Parts(_context(run, texts=True))
    names = list(parts.names())
    assert names_of(exported.path) == sorted(["runs.json", *(f"{run.key}/{name}" for name in names)])
    assert all(read_part(exported.path, f"{run.key}/{name}") == parts.read(name) for name in names)
    runs = json.loads(read_part(exported.path, "runs.json"))
    assert (runs["mode"], [run["key"] for run in runs["runs"]]) == ("static", exported.runs)


def test_parts_are_scripts_that_call_one_function(exported):
    for path in (exported.path / "data").rglob("*.js"):
        assert re.fullmatch(r'cgapsPart\("[^"\\\n\r]*","[\w+/=]*"\);\n', path.read_text())
    index = (exported.path / "index.html").read_text()
    assert 'data-mode="static"' in index and "default-src &#x27;none&#x27;" in index


def test_one_file_holds_the_answer_tables_and_examples(opened, tmp_path):
    done = export_file(opened, tmp_path / "report.html")
    text, blocks = done.path.read_text(), blocks_of(done.path)
    key, run = opened[0].key, opened[0].run
    assert done.size <= MAX_FILE_BYTES and json.loads(blocks["runs.json"])["mode"] == "file"
    info = json.loads(blocks[f"{key}/run.json"])
    assert pl.read_parquet(io.BytesIO(blocks[f"{key}/items.parquet"])).height == run.items.height
    concepts, items = (details_of(blocks, f"{key}/{kind}") for kind in ("concept", "item"))
    assert concepts and all(len(detail["benchmarks"]) == len(info["benchmarks"]) for detail in concepts.values())
    assert len(items) == run.items.height, "there is room for all"
    # Nothing is loaded, and only the page's own script and style run.
    assert not re.search(r'(?:src|href)="(?!data:)', text) and "connect-src" not in text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    for content in (blocks["app.js"], re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0].encode()):
        assert base64.b64encode(hashlib.sha256(content).digest()).decode() in policy


def test_one_file_keeps_its_size_by_leaving_details_out(opened, tmp_path, monkeypatch):
    whole = export_file(opened, tmp_path / "whole.html").size
    for name in ("MAX_FILE_BYTES", "USUAL_FILE_BYTES"):
        monkeypatch.setattr(export_module, name, whole - 8_000)
    less = export_file(opened, tmp_path / "less.html")
    assert less.size <= whole - 8_000 and f"{opened[0].key}/run.json" in blocks_of(less.path)


def test_one_file_has_the_items_of_all_findings_whole(modelled, tmp_path, monkeypatch):
    for name in ("MORE_CONCEPTS", "MORE_ITEMS"):
        monkeypatch.setattr(export_module, name, 0)
    (opened,) = open_runs([modelled.run])
    file = export_file([opened], tmp_path / "whole.html").path
    run, items = opened.run, details_of(blocks_of(file), opened.key + "/item")
    texts, models = run.items["text"], model_scores(run).models
    said = {(row["item"], row["model"]): row["response"] for row in read_scores(run.path).iter_rows(named=True)}
    wanted = set()
    for answer in (answer for against in (None, "benchmark") for answer in answers(run, against=against).values()):
        for finding in answer.findings:
            behind = detail(run, answer, finding)
            assert 0 < len(behind.failing) + len(behind.passing) <= 12
            for item in (*behind.failing, *behind.passing, *behind.typical):
                told = items[item.row]["models"][models.index(answer.model)]
                response = said.get((item.row, answer.model), run.items["response"][item.row])
                assert items[item.row]["text"] == texts[item.row] and told["response"] == response
                assert told["score"] == item.score
                wanted.add(item.row)
    assert wanted == set(items), "there is no room for others"
    # Where texts have no room, they are cut alike.
    monkeypatch.setattr(export_module, "MAX_FILE_BYTES", 10_000)
    monkeypatch.setattr(export_module, "TEXTS", (None, 100))
    cut = export_file([opened], tmp_path / "cut.html").path
    assert set(details_of(blocks_of(cut), opened.key + "/item")) == wanted
    assert max(len(item["text"]) for item in details_of(blocks_of(cut), opened.key + "/item").values()) <= 100


def test_a_run_writes_its_report_or_says_why_not(hostile, tmp_path, monkeypatch, caplog):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    cg.open_run(run).report()
    assert blocks_of(run / "report.html")
    (run / "report.html").unlink()
    monkeypatch.setattr(export_module, "page_files", lambda: page_module.page_files(tmp_path))
    cg.open_run(run).report()
    assert "make page" in caplog.text and not (run / "report.html").exists()


@pytest.mark.parametrize("one_file", [False, True])
def test_without_texts_no_prompt_response_or_answer_is_written(hostile, listed, tmp_path, one_file):
    made = with_extras(hostile, tmp_path)
    out = tmp_path / ("out.html" if one_file else "out")
    cg.export([made.run, listed.run], out, one_file=one_file, texts=False)
    parts = blocks_of(out) if one_file else {name: read_part(out, name) for name in names_of(out)}
    # Ids and groups of the imported benchmark quote its questions; they are no texts, and stay.
    quoted = {f"{run}/items.parquet" for run in ("run", "run-2")}
    for name, content in parts.items():
        text = content.decode("utf-8", "replace")
        held = [secret for secret in SECRETS if secret in text]
        if name in quoted or "/item" in name:
            held = [secret for secret in held if secret != SECRETS[0]]
        assert not held, (name, held)


def test_with_texts_they_are(exported, opened):
    text = read_part(exported.path, f"{opened[0].key}/item/0.json").decode()
    assert all(secret in text for secret in SECRETS)


def test_no_folder_and_no_judge_is_named(hostile, tmp_path):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_bytes())
    judge = {"base_url": "https://judge.example/v1", "key_env": "JUDGE_EXAMPLE", "extra": {"tag": "judge.example"}}
    manifest["settings"]["judge"] = {**judge, "model": "shown-model"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    seal(run)
    done = cg.export([run], tmp_path / "out")
    text = "".join(read_part(done.path, name).decode("utf-8", "replace") for name in names_of(done.path))
    assert HOME not in text and str(tmp_path) not in text and "judge.example" not in text
    assert "JUDGE_EXAMPLE" not in text and "shown-model" in text


def test_an_older_export_is_replaced_and_anything_else_refused(opened, tmp_path):
    out = tmp_path / "out"
    export(opened, out)
    (out / "data" / "old.js").write_text("cgapsPart(")
    export(opened, out)
    assert not (out / "data" / "old.js").exists() and (out / MARK).is_file()
    (out / "mine.txt").write_text("mine")
    for place in (out, opened[0].run.path / "out", opened[0].run.path):
        with pytest.raises(UserError):
            export(opened, place)
    assert (out / "mine.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is a folder"):
        export_file(opened, out)


def test_an_interrupted_export_leaves_the_older_one(opened, tmp_path, monkeypatch):
    out = tmp_path / "out"
    export(opened, out)
    before = (out / MARK).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "read", lambda self, name: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(opened, out)
    assert (out / MARK).read_bytes() == before
    export(opened, out)
    assert not out.with_name(".out.part").exists()


def test_exporting_writes_nothing_into_the_run(hostile, tmp_path):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    cg.export([run], tmp_path / "out")
    cg.export([run], tmp_path / "out.html", one_file=True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_the_command_line_exports_either_way(hostile, tmp_path):
    folder, file = tmp_path / "out", tmp_path / "out.html"
    done = CliRunner().invoke(app, ["export", str(hostile.run), str(folder), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["path"] == str(folder)
    done = CliRunner().invoke(app, ["export", str(hostile.run), "--one-file", str(file), "--no-texts"])
    assert done.exit_code == 0 and file.is_file() and str(file) in done.stdout.replace("\n", "")


def test_types_of_the_page_are_the_records():
    recipe = runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "page_types.py"))
    assert recipe["FILE"].read_text(encoding="utf-8") == recipe["types_file"]()
