"""Tables and documents from a stranger, whose checksums fit, hold all that is read of them, or are refused."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from explorer_extras import PROBE, add_probe

import competency_gaps as cg
from competency_gaps.checked import write_document
from competency_gaps.cli.app import main
from competency_gaps.errors import UserError
from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.schemas import LABELS, OUTCOME_DETAILS, OUTCOME_ITEMS, SCHEMAS
from competency_gaps.runs.scores import read_scores
from core_helpers import seal

COLUMNS = [(name, column) for name, schema in SCHEMAS.items() for column in schema]


@pytest.fixture(scope="module")
def folder(modelled, tmp_path_factory) -> Path:
    """A copy of a run with labels, themes, other models' scores and outcomes."""
    return Path(shutil.copytree(modelled.run, tmp_path_factory.mktemp("strange") / "run"))


def outcome_of(folder: Path) -> Path:
    return min((folder / "outcomes").iterdir())


@contextmanager
def changed(file: Path, change):
    """A table that somebody changed, checksums and all, while the body runs."""
    before = [(path, path.read_bytes()) for path in (file, file.parent / "manifest.json")]
    change(pl.read_parquet(file)).write_parquet(file)
    seal(file.parent)
    try:
        yield
    finally:
        for path, content in before:
            path.write_bytes(content)


def retyped(column: str):
    """A change of a column to a type that none is declared with."""
    return lambda table: table.with_columns(pl.lit(7, pl.UInt8).alias(column))


def test_every_table_is_written_with_the_declared_columns_and_no_others(folder):
    for name, schema in SCHEMAS.items():
        assert pl.read_parquet_schema(folder / f"{name}.parquet") == pl.Schema(schema), name
    outcomes = sorted((folder / "outcomes").iterdir())
    assert len(outcomes) > 1
    for own in outcomes:
        held = pl.read_parquet_schema(own / "items.parquet")
        assert held.keys() == {*OUTCOME_ITEMS, *OUTCOME_DETAILS}
        assert held == {name: {**SCHEMAS["items"], **OUTCOME_ITEMS}[name] for name in held}
        names = {file.stem for file in own.glob("*.parquet")}
        assert names > {"items", "concepts", "findings"}
        for name in names - {"items"}:
            assert pl.read_parquet_schema(own / f"{name}.parquet") == pl.Schema(SCHEMAS[name]), name


def test_a_table_that_is_not_declared_is_read_as_it_is(folder):
    file = folder / "gate.parquet"
    pl.DataFrame({"benchmark": ["sums"]}).write_parquet(file)
    seal(folder)
    try:
        assert cg.open_run(folder).scan("gate").collect().columns == ["benchmark"]
    finally:
        file.unlink()
        seal(folder)
    with pytest.raises(UserError, match=r"concept\.parquet"):
        cg.open_run(folder).scan("concept")


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_table_without_a_column_or_with_another_type_is_refused(folder, name, column):
    file = folder / f"{name}.parquet"
    with changed(file, lambda table: table.drop(column)), pytest.raises(UserError) as raised:
        cg.open_run(folder).scan(name)
    assert str(raised.value).startswith(f"{file} has no column {column!r}, expected one of type ")
    assert "restore the file from a copy" in str(raised.value)
    with changed(file, retyped(column)), pytest.raises(UserError) as raised:
        cg.open_run(folder).scan(name)
    assert f"{file} has the column {column!r} of type " in str(raised.value) and "expected " in str(raised.value)
    assert cg.open_run(folder).scan(name).collect().height


@pytest.mark.parametrize("column", [*OUTCOME_ITEMS, *OUTCOME_DETAILS])
def test_the_items_of_an_outcome_likewise(folder, column):
    own = outcome_of(folder)
    says = rf"items\.parquet has .*'{column}'"
    with changed(own / "items.parquet", retyped(column)), pytest.raises(UserError, match=says):
        _ = cg.open_run(own).items
    if column in OUTCOME_DETAILS:  # the run's stand in for it, as for the run's own model
        with changed(own / "items.parquet", lambda table: table.drop(column, strict=False)):
            assert cg.open_run(own).items[column].equals(cg.open_run(folder).items[column], null_equal=True)
        return
    with changed(own / "items.parquet", lambda table: table.drop(column)), pytest.raises(UserError, match=says):
        _ = cg.open_run(own).items


def test_labels_may_be_lacking_all_together_as_before_a_run_is_named(folder):
    file = folder / "concepts.parquet"
    with changed(file, lambda table: table.drop(*LABELS)):
        run = cg.open_run(folder)
        assert run.concepts.select(*LABELS).null_count().row(0) == (run.width,) * len(LABELS)
        explored(folder, "concepts.parquet")
        run.report()
    with changed(file, lambda table: table.drop("label")), pytest.raises(UserError, match="no column 'label'"):
        _ = cg.open_run(folder).concepts


def test_a_column_that_nobody_knows_is_ignored(folder):
    with changed(folder / "concepts.parquet", lambda table: table.with_columns(mine=pl.lit(1))):
        assert cg.open_run(folder).concepts.height


def explored(folder: Path, part: str) -> None:
    open_runs([folder])[0].now().parts.read(part)


READERS = {
    "items": (lambda folder: cg.open_run(folder).cas("sums"), lambda folder: explored(folder, "items.parquet")),
    "concepts": (lambda folder: explored(folder, "concepts.parquet"), lambda folder: cg.open_run(folder).report()),
    "concept_benchmarks": (lambda folder: cg.open_run(folder).report(),),
    "benchmarks": (lambda folder: explored(folder, "run.json"),),
    "overlap": (lambda folder: explored(folder, "run.json"),),
    "findings": (lambda folder: cg.open_run(folder).findings, lambda folder: cg.open_run(folder).report()),
    "themes": (lambda folder: explored(folder, "themes.json"),),
    "theme_names": (lambda folder: cg.open_run(folder).theme_results, lambda folder: explored(folder, "themes.json")),
    "theme_results": (lambda folder: cg.open_run(folder).theme_results,),
    "theme_benchmarks": (lambda folder: cg.open_run(folder).theme_benchmarks,),
    "scores": (read_scores, lambda folder: cg.open_run(folder).models),
}


@pytest.mark.parametrize("name", READERS)
def test_whoever_reads_the_table_refuses_it(folder, name):
    file = folder / f"{name}.parquet"
    column = list(SCHEMAS[name])[-1]
    for read in READERS[name]:
        with (
            changed(file, lambda table: table.drop(column)),
            pytest.raises(UserError, match=rf"{file.name} has no col"),
        ):
            read(folder)


@pytest.mark.parametrize(
    ("name", "column", "arguments"),
    [
        ("concepts", "tau", ("concept", "{run}", "1")),
        ("concepts", "performance_status", ("show", "{run}")),
        ("benchmarks", "alive", ("show", "{run}")),
        ("theme_results", "performance_status", ("show", "{run}", "--themes")),
        ("findings", "gap", ("findings", "{run}")),
        ("scores", "score", ("show", "{run}", "--models")),
    ],
)
def test_commands_end_with_the_file_and_the_column(folder, capsys, monkeypatch, name, column, arguments):
    monkeypatch.setattr("sys.argv", ["cgaps", *(part.format(run=folder) for part in arguments)])
    with changed(folder / f"{name}.parquet", lambda table: table.drop(column)), pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2 and f"{name}.parquet" in said.replace(" ", "") and f"'{column}'" in said


@pytest.mark.parametrize("sizes", [(2**31 - 1, 90), (239, 91), (241, 90), (0, 90), (90, 240)])
def test_other_numbers_of_items_than_the_table_has_are_refused_before_memory_is_taken(folder, tmp_path, sizes):
    run = Path(shutil.copytree(folder, tmp_path / "run"))
    manifest = json.loads((run / "manifest.json").read_text())
    assert [entry["items"] for entry in manifest["benchmarks"]][:2] == [240, 90]
    for entry, size in zip(manifest["benchmarks"], sizes, strict=False):
        entry["items"] = size
    (run / "manifest.json").write_text(json.dumps(manifest))
    seal(run)
    for read in (lambda run: run.item_rows, lambda run: run.token_activations(1, [0]), lambda run: run.cas("sums")):
        with pytest.raises(UserError, match=r"items\.parquet (has 352 rows, exp|holds other items)"):
            read(cg.open_run(run))


VERDICT = {
    **{"code": "split_halves", "outcome": "agree", "tone": "good"},
    "numbers": {"mean": 0.5, "of another version": [1], "same_sign": None},
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "verdicts: field required"),
        ({"verdicts": None}, "verdicts: "),
        ({"verdicts": {"a": 1}}, "verdicts: "),
        ({"verdicts": ["x"]}, r"verdicts\.0: "),
        ({"verdicts": [{**VERDICT, "numbers": None}]}, r"verdicts\.0\.numbers: "),
        ({"verdicts": [{**VERDICT, "numbers": {"mean": "x"}}]}, r"verdicts\.0: numbers\.mean: expected a number"),
        ({"verdicts": [{**VERDICT, "numbers": {"mean": [1]}}]}, r"verdicts\.0: numbers\.mean: expected a number"),
        ({"verdicts": [{**VERDICT, "numbers": {"mean": 10**400}}]}, r"verdicts\.0"),
        ({"verdicts": [{**VERDICT, "outcome": "x"}]}, r"verdicts\.0: unknown outcome 'x'"),
        ({"verdicts": [{**VERDICT, "code": 7}]}, r"verdicts\.0\.code: "),
        ({"verdicts": [{**VERDICT, "tone": "loud"}]}, r"verdicts\.0\.tone: "),
        ({"verdicts": [{key: VERDICT[key] for key in ("code", "outcome", "numbers")}]}, r"verdicts\.0\.tone: "),
    ],
)
def test_an_assessment_of_another_shape_is_refused(hostile, tmp_path, content, says):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    write_document(run / "robustness.json", content)
    for read in (lambda: cg.open_run(run).report(), lambda: explored(run, "run.json")):
        with pytest.raises(UserError, match=rf"robustness\.json is damaged: {says}.*cgaps robustness"):
            read()
    write_document(run / "robustness.json", {"verdicts": [VERDICT]})
    explored(run, "run.json")


@pytest.mark.parametrize("row", ["x", {}, {"mean": "x"}, {"claim": "great"}, {"exciting": -1}, {"label": 5}])
def test_a_probe_of_another_shape_is_passed_over_with_a_warning(hostile, tmp_path, caplog, row):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    good = {"concept": 2, "label": "sums", **PROBE}
    add_probe(run, "good", [good])
    add_probe(run, "odd", [good])
    file = run / "probes" / "odd" / "verdicts.json"
    held = json.loads(file.read_text())
    own = row if isinstance(row, str) or not row else {**good, **row}
    write_document(file, {**held, "concepts": [own]})
    parts = open_runs([run])[0].now().parts
    assert len(json.loads(parts.read("run.json"))["probes"]) == 1
    assert f"{file} is damaged: concepts.0" in caplog.text
