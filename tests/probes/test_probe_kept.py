"""What a probe keeps is compared with its checksums before it is read."""

from __future__ import annotations

import json

import polars as pl
import pytest

from competency_gaps import change, checked
from competency_gaps.errors import UserError
from competency_gaps.probes.kept import KeptProbe, check_probe, read_probe, write_probe

PROBE = KeptProbe(
    pl.DataFrame({"concept": [3, 5], "verdict": ["holds", "not shown"]}),
    pl.DataFrame({"concept": [3] * 40, "prompt": [f"How many? {number}" for number in range(40)]}),
    {"criterion": {"q": 0.05}, "concepts": [{"concept": 3}, {"concept": 5}]},
)
NAMES = ("verdicts.parquet", "items.parquet", "verdicts.json")


@pytest.fixture
def folder(tmp_path):
    write_probe(tmp_path / "probes" / "one", PROBE)
    return tmp_path / "probes" / "one"


def test_what_is_written_is_read(folder):
    read = read_probe(folder)
    assert read.verdicts.equals(PROBE.verdicts) and read.items.equals(PROBE.items) and read.document == PROBE.document
    assert {path.name for path in folder.iterdir()} == {*NAMES}
    check_probe(folder)


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_is_seen_and_named(name, folder):
    path = folder / name
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        for bit in (1, 16):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            for read in (read_probe, check_probe):
                try:
                    read(folder)
                except UserError as error:
                    assert str(path) in str(error) and "cgaps probe concept" in str(error)
                else:  # white space of the document, which says the same
                    assert name == "verdicts.json" and json.loads(path.read_bytes()) == json.loads(whole)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_cut_off_or_exchanged_file_is_named(name, folder):
    path = folder / name
    whole = path.read_bytes()
    for left in (None, whole[: len(whole) // 2], b"", (folder / NAMES[NAMES.index(name) - 1]).read_bytes()):
        path.unlink()
        if left is not None:
            path.write_bytes(left)
        with pytest.raises(UserError, match=name):
            read_probe(folder)
        path.write_bytes(whole)


@pytest.mark.parametrize("files", [None, [], {}, {"verdicts.parquet": {"sha256": "0", "bytes": 0}}])
def test_tables_that_the_document_does_not_list_are_not_read(files, folder):
    held = {**checked.read_document(folder / "verdicts.json"), "files": files}
    checked.write_document(folder / "verdicts.json", held)
    with pytest.raises(UserError, match=r"verdicts\.json is damaged: it does not list the tables"):
        read_probe(folder)


def test_a_table_that_is_no_parquet_is_named(folder):
    (folder / "items.parquet").write_bytes(b"PAR1 nothing PAR1")
    held = checked.read_document(folder / "verdicts.json")
    held["files"]["items.parquet"] = checked.entry_of(folder / "items.parquet")
    checked.write_document(folder / "verdicts.json", held)
    with pytest.raises(UserError, match=r"items\.parquet is damaged"):
        read_probe(folder)


def test_killed_between_the_tables_a_probe_is_whole(folder, monkeypatch):
    newer = KeptProbe(PROBE.verdicts.head(1), PROBE.items.head(7), {"criterion": {"q": 0.1}})

    def killed(path, content):
        if path.name == "verdicts.json":
            raise SystemExit
        return checked.write_document(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(change, "write_document", killed)
        with pytest.raises(SystemExit):
            write_probe(folder, newer)
    read = read_probe(folder)
    assert read.items.equals(newer.items) and read.verdicts.equals(newer.verdicts) and read.document == newer.document
