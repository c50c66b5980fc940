"""Damaged tables end in errors wherever the package reads tables, also where polars itself panics."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import polars as pl
import pytest

import competency_gaps as cg
from competency_gaps import table_files
from competency_gaps.benchmarks.files import read_files
from competency_gaps.config import FileSource
from competency_gaps.errors import UserError
from competency_gaps.logs.scores import read_score_table
from competency_gaps.matching.tags import read_tags
from competency_gaps.sae.reference import read_reference
from competency_gaps.sae.texts import read_documents
from competency_gaps.stages.items import read_responses
from core_helpers import seal

sys.path.append(str(Path(__file__).parent / "logs"))

TABLE = pl.DataFrame({"id": [f"q{n}" for n in range(40)], "prompt": ["?"] * 40, "score": [n / 40 for n in range(40)]})


def flips(content: bytes):
    """The file with each bit of its footer flipped: schema, sizes and places of columns."""
    size = int.from_bytes(content[-8:-4], "little")
    for place in range(len(content) - 8 - size, len(content)):
        for bit in range(8):
            yield content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def scanned(path: Path) -> None:
    pl.scan_parquet(path).collect_schema()


def panicking(path: Path, *, scan: bool) -> None:
    """Damage a table so that polars panics when it is scanned, or else only when it is collected."""
    for content in flips(path.read_bytes()):
        path.write_bytes(content)
        try:
            scanned(path)
            if not scan:
                pl.read_parquet(path)
        except pl.exceptions.PanicException:
            return
        except pl.exceptions.PolarsError:
            continue
    pytest.skip("this polars does not panic")


@pytest.fixture(params=[True, False], ids=["when scanned", "when collected"])
def damage(request):
    return lambda path: panicking(path, scan=request.param)


def test_no_flipped_bit_of_a_footer_is_anything_but_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    TABLE.write_parquet(path)
    panics = 0
    for content in flips(path.read_bytes()):
        path.write_bytes(content)
        for read in (table_files.read_parquet, lambda file: table_files.collect(table_files.scan_parquet(file))):
            try:
                read(path)
            except pl.exceptions.PolarsError as error:
                panics += isinstance(error.__cause__, pl.exceptions.PanicException)
    assert panics > 0


READERS = {
    "benchmark": lambda path: list(read_files(FileSource(path=path))),
    "scores": lambda path: list(read_score_table(path)),
    "tags": read_tags,
    "texts": lambda path: list(read_documents([path])),
    "reference": lambda path: read_reference(path, 40),
}


@pytest.mark.parametrize("name", READERS)
def test_readers_of_tables_refuse_it(name, damage, tmp_path):
    path = tmp_path / "a.parquet"
    TABLE.rename({"prompt": "text"} if name == "texts" else {}).write_parquet(path)
    damage(path)
    with pytest.raises(UserError, match=r"a\.parquet"):
        READERS[name](path)


def test_responses_count_as_missing(damage, tmp_path):
    TABLE.write_parquet(tmp_path / "a.parquet")
    damage(tmp_path / "a.parquet")
    assert read_responses(tmp_path / "a.parquet", [0]) is None


def test_tables_of_a_run_whose_checksums_fit_are_refused(damage, tiny_run, tmp_path):
    from competency_gaps.explorer.parts import Parts

    folder = shutil.copytree(tiny_run.path, tmp_path / "run")
    for name in ("items", "concept_benchmarks"):
        whole = (folder / f"{name}.parquet").read_bytes()
        damage(folder / f"{name}.parquet")
        seal(folder)
        run = cg.open_run(folder)
        for ask in (lambda run, name: getattr(run, name), lambda run, name: run.files.collect(name, run.scan(name))):
            with pytest.raises(UserError, match=rf"{name}\.parquet (is damaged|has the column)"):
                ask(run, name)
        if name == "items":  # of the other the explorer's lists hold only some columns, which may be whole
            with pytest.raises(UserError, match=r"items\.parquet (is damaged|has the column)"):
                parts = Parts(run, key="k")
                for part in parts.names():
                    parts.read(part)
        (folder / f"{name}.parquet").write_bytes(whole)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_a_panic_in_a_table_of_text_is_an_error_too(suffix, tmp_path, monkeypatch):
    def panics(*arguments, **options):
        raise pl.exceptions.PanicException("assertion failed")

    path = tmp_path / f"a{suffix}"
    path.write_text('{"id": "a", "m": 1}\n')
    for name in ("read_csv", "read_ndjson"):
        monkeypatch.setattr(pl, name, panics)
    with pytest.raises(UserError, match="cannot be read as a table of scores"):
        list(read_score_table(path))
