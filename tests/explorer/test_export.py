"""The static explorer: what is written is what a server would send, and nothing that was to be left out."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from explorer_runs import HOME, NAMES, SECRETS, SIZES

from competency_gaps.errors import UserError
from competency_gaps.explorer import export as export_module
from competency_gaps.explorer import page_files as page_module
from competency_gaps.explorer.export import BEGUN, CONCEPTS, ENTRIES, ITEMS, MARK, export, read_part
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.context import EXPORTED

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


def _contents(folder, key):
    """All parts as text, by name."""
    return {name: read_part(folder, name).decode("utf-8", "replace") for name in [*_names(folder, key), "runs.json"]}


def _names(folder, key):
    return [str(path.relative_to(folder / "data"))[:-3] for path in (folder / "data" / key).rglob("*.js")]


def test_parts_are_those_of_a_server(opened, exported):
    one = opened[0]
    parts = Parts(
        one.run,
        key=one.key,
        dictionary=one.dictionary,
        portable=True,
        concepts_per_part=CONCEPTS,
        items_per_part=ITEMS,
        entries_per_part=ENTRIES,
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
        assert ((both["shown"] - both["known"]).abs() <= 2.0**-24 * both["known"].abs()).all(), "all a float32 holds"
    items = json.loads(read_part(exported.folder, f"{key}/item/1.json"))
    assert [item["item"] for item in items] == list(range(ITEMS, 2 * ITEMS))
    assert [item["text"] for item in items] == run.items["text"][ITEMS : 2 * ITEMS].to_list()
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
    for name, content in _contents(done.folder, one.key).items():
        assert not [needle[:60] for needle in needles if needle in content], name
    facts = json.loads(read_part(done.folder, f"{one.key}/run.json"))
    assert facts["redacted"] is True
    assert json.loads((done.folder / MARK).read_text())["redacted"] is True


@pytest.mark.parametrize("redact", [False, True])
def test_no_export_names_a_folder_of_somebodys(opened, tmp_path, redact):
    done = export(opened, tmp_path / "audit", redact=redact)
    own = str(opened[0].run.path.parent)
    contents = _contents(done.folder, opened[0].key)
    assert not [name for name, content in contents.items() if HOME in content or own in content]
    assert not [path for path in done.folder.rglob("*") if path.is_file() and HOME.encode() in path.read_bytes()]
    info = json.loads(contents[f"{opened[0].key}/run.json"])
    assert (
        info["scored"]["model"] == info["scored"]["reader"] == "<b>tiny"
        and {one["name"]: one["value"] for one in info["card"]}["Folder"] == "run"
    )


def test_secrets_and_folders_are_found_where_they_are_not_left_out(opened, exported):
    one = opened[0]
    whole = _contents(exported.folder, one.key)
    for secret in SECRETS:
        assert {name.split("/")[1] for name, text in whole.items() if secret in text} >= {"run.json", "item"}
    assert SECRETS[0] in whole[f"{one.key}/items.parquet"], "in ids, groups and excerpts"
    info = json.loads(whole[f"{one.key}/run.json"])
    assert SECRETS[0] in info["command"] and SECRETS[1] in json.dumps(info["cautions"])
    assert SECRETS[2] in json.dumps(info["benchmarks"])
    served = Parts(one.run, key=one.key).read("run.json").decode()
    assert served.count(HOME) > 10, "else the test above could not fail"


def test_redacted_items_have_numbers_for_names(opened, tmp_path):
    one = opened[0]
    done = export(opened, tmp_path / "audit", redact=True)
    table = pl.read_parquet(io.BytesIO(read_part(done.folder, f"{one.key}/items.parquet")))
    assert table["group"].null_count() == table.height
    expected = [str(place) for size in SIZES for place in range(size)]
    assert table["item_id"].to_list() == expected
    details = json.loads(read_part(done.folder, f"{one.key}/item/1.json"))
    assert [(item["item_id"], item["group"]) for item in details] == [
        (place, None) for place in expected[ITEMS : 2 * ITEMS]
    ]


def test_how_many_texts_are_cut_is_said(opened, exported):
    run = opened[0].run
    info = json.loads(read_part(exported.folder, f"{opened[0].key}/run.json"))
    longer = [
        any(len(text or "") > EXPORTED.text for text in texts)
        for texts in run.items.select("text", "response", "answer").iter_rows()
    ]
    assert info["cut_items"] == sum(longer) == 1
    assert json.loads(Parts(run, key="k").read("run.json"))["cut_items"] == 0


def test_an_older_export_is_replaced_and_a_foreign_folder_is_not(opened, tmp_path):
    target = tmp_path / "audit"
    export(opened, target)
    stale = target / "data" / opened[0].key / "concept" / "99.json.js"
    stale.write_text('cgapsPart("run/concept/99.json","");')
    export(opened, target, redact=True)
    assert not stale.exists() and json.loads((target / MARK).read_text())["redacted"]
    assert [path.name for path in tmp_path.iterdir()] == ["audit"], "nothing is left beside it"
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"also holds notes\.txt"):
        export(opened, target)
    assert (target / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is not an older export: it holds activations"):
        export(opened, opened[0].run.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        export(opened, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be made"):
        export(opened, tmp_path / "file" / "audit")
    (tmp_path / "empty").mkdir()
    assert export(opened, tmp_path / "empty").files > 5
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["data/notes.txt", "data/run/mine.js", "data/run/thesis/plan.js", "data/run/empty.js"])
def test_what_somebody_put_below_the_data_stays(opened, tmp_path, name):
    target = tmp_path / "audit"
    export(opened, target)
    own = target / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("" if "empty" in name else "// mine")
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=f"also holds {re.escape(name)}"):
        export(opened, target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def test_a_link_below_the_data_stays(opened, tmp_path):
    target, mine = tmp_path / "audit", tmp_path / "mine"
    export(opened, target)
    mine.mkdir()
    (target / "data" / "link").symlink_to(mine)
    with pytest.raises(UserError, match="also holds data/link"):
        export(opened, target)


@pytest.mark.parametrize("name", ["thesis.txt", "index.html", "data/run/concept/0.json.js"])
def test_a_folder_of_that_name_without_the_mark_of_an_export_stays(opened, tmp_path, name):
    own = tmp_path / ".mine.part" / name
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(UserError, match=r"mine\.part', where the export would be written, holds"):
        export(opened, tmp_path / "mine")
    assert own.read_text() == "mine" and not (tmp_path / "mine").exists()
    if name == "thesis.txt":
        (tmp_path / ".mine.part" / BEGUN).touch()
        with pytest.raises(UserError, match=r"also holds thesis\.txt"):
            export(opened, tmp_path / "mine")
        assert own.read_text() == "mine"


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
    assert (half / BEGUN).exists()
    (half / "data" / "run" / "cut.js").write_bytes(b"cgapsPa")
    monkeypatch.undo()
    shutil.rmtree(target)
    export(opened, target, redact=True)
    assert json.loads((target / MARK).read_text())["redacted"] and not half.exists()
    assert not (target / BEGUN).exists()


def test_an_export_that_could_not_be_put_in_its_place_is_made_anew(opened, tmp_path, monkeypatch):
    target = tmp_path / "audit"

    def fail(self, other):
        raise OSError(16, "Device or resource busy")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(UserError, match="cannot be replaced"):
            export(opened, target)
    assert (tmp_path / ".audit.part" / MARK).exists()
    export(opened, target)
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


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
    path.write_text(f'cgapsPart("{name}","{base64.b64encode(gzip.compress(b"{}")).decode()}");\n', encoding="utf-8")
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
    told = run("export", hostile.run, tmp_path / "out", "--redact", "--quiet")
    assert told.returncode == 0 and "Items have numbers instead of ids, and no groups" in told.stdout
    again = run("export", hostile.run, hostile.run, tmp_path / "two")
    assert again.returncode == 2 and "given 2 times" in again.stderr
