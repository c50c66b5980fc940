"""A dictionary is written by one command at a time, and what is damaged in it is said, by its name."""

from __future__ import annotations

import json

import polars as pl
import pytest
from labelling_helpers import hand_made

import competency_gaps as cg
from competency_gaps.concepts.atlas import read_atlas, write_atlas
from competency_gaps.concepts.document import FILE, files_of, write_tables
from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.util import checked
from competency_gaps.util.errors import UserError
from core_helpers import hand_atlas, held_elsewhere

ATLAS = ("atlas.safetensors", "regions.parquet", "region_counts.parquet")
TABLES = ("exemplars.parquet", "windows.parquet", "logits.parquet", "labels.parquet", *ATLAS)
NO_SUCH = "no such model or file"


@pytest.fixture
def folder(tmp_path):
    """A dictionary with labels and an atlas, all of whose tables have checksums."""
    made = hand_made(tmp_path / "dictionary")
    cg.label_concepts(made.folder, "automatic")
    by_hand = {path.name: pl.read_parquet(path).write_parquet for path in made.folder.glob("*.parquet")}
    write_tables(made.folder, by_hand)
    write_atlas(made.folder, hand_atlas(made.width))
    assert set(files_of(made.folder)) == set(TABLES)
    return made.folder


def read_all(folder) -> None:
    opened = open_dictionary(folder)
    _ = opened.labels(), opened.logits, opened.exemplars.table, opened.exemplars.windows
    read_atlas(folder, opened.width)


def test_every_command_that_writes_is_refused_while_another_does(folder, tmp_path):
    source = tmp_path / "labels.json"
    source.write_text(json.dumps({"1": "a label"}))
    commands = {
        "label": lambda: cg.label_concepts(folder, "automatic"),
        "import-labels": lambda: cg.import_labels(folder, str(source)),
        "atlas": lambda: cg.make_atlas(folder, NO_SUCH),
        "exemplars": lambda: cg.make_exemplars(folder, model=NO_SUCH, sae=NO_SUCH),
    }
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with held_elsewhere(folder) as other:
        for command in commands.values():
            with pytest.raises(UserError, match=f"is being written by process {other.pid} on "):
                command()
        read_all(folder)
    for path in folder.glob(".lock"):  # of the process that was killed
        path.unlink()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    commands["label"]()


def test_tables_and_what_is_said_of_them_change_together(folder, monkeypatch):
    labels = open_dictionary(folder).labels()
    facts = {"ranking": "reconstruction"}
    tables = {"labels.parquet": labels.head(1).write_parquet, "similar.parquet": lambda part: part.write_bytes(b"?")}
    with monkeypatch.context() as patch:
        patch.setattr(checked, "_complete", lambda *_: None)  # killed before anything took its place
        write_tables(folder, tables, exemplars=facts)
    assert (folder / f".{FILE}.next").is_file() and not (folder / "similar.parquet").exists()
    opened = open_dictionary(folder)
    assert opened.settings == facts and opened.labels().height == 1
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    with pytest.raises(UserError, match=r"similar\.parquet is missing or damaged"):
        _ = opened.similar
