"""Damaged tables end in errors wherever the package reads tables, also where polars itself panics."""

from __future__ import annotations

from itertools import islice

import polars as pl
import pytest

from competency_gaps.items.config import FileSource
from competency_gaps.items.files import read_files
from competency_gaps.logs.scores import read_score_table
from competency_gaps.sae.reference import read_reference
from competency_gaps.sae.texts import read_documents
from competency_gaps.util import table_files
from competency_gaps.util.errors import UserError

TABLE = pl.DataFrame(
    {"id": [f"q{n}" for n in range(40)], "prompt": ["?"] * 40, "text": ["!"] * 40, "score": [n / 40 for n in range(40)]}
)


def flips(content: bytes):
    """The file with each bit of its footer flipped: schema, sizes and places of columns."""
    size = int.from_bytes(content[-8:-4], "little")
    for place in range(len(content) - 8 - size, len(content)):
        for bit in range(8):
            yield content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


@pytest.fixture(scope="module", params=["when scanned", "when collected"])
def damaged(request, tmp_path_factory):
    """A table in which polars panics when it is scanned, or only when it is collected."""
    path = tmp_path_factory.mktemp("damaged") / "a.parquet"
    TABLE.write_parquet(path)
    for content in flips(path.read_bytes()):
        path.write_bytes(content)
        step = "when scanned"
        try:
            pl.scan_parquet(path).collect_schema()
            step = "when collected"
            pl.read_parquet(path, columns=["text"])  # which each reader reads
        except pl.exceptions.PanicException:
            if step == request.param:
                return path
        except pl.exceptions.PolarsError:
            continue
    pytest.skip("this polars does not panic")


def test_any_flipped_bit_of_a_footer_is_an_error(tmp_path):
    """Every seventh bit."""
    path = tmp_path / "a.parquet"
    TABLE.write_parquet(path)
    panics = 0
    for content in islice(flips(path.read_bytes()), None, None, 7):
        path.write_bytes(content)
        for read in (table_files.read_parquet, lambda file: table_files.collect(table_files.scan_parquet(file))):
            try:
                read(path)
            except pl.exceptions.PolarsError as error:
                panics += isinstance(error.__cause__, pl.exceptions.PanicException)
    assert panics > 0


READERS = {
    "benchmark": lambda path: list(read_files(FileSource(path=path))),
    "scores": read_score_table,
    "texts": lambda path: list(read_documents([path])),
    "reference": lambda path: read_reference(path, 40),
}


@pytest.mark.parametrize("name", READERS)
def test_readers_of_tables_refuse_it(name, damaged):
    with pytest.raises(UserError, match=r"a\.parquet"):
        READERS[name](damaged)
