"""What was damaged in a finished run is said, by its name; the same command makes it again from the shards."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import competency_gaps
from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.runs.manifest import BY_CONCEPT, FILE, read_assessment, read_manifest, set_aside
from competency_gaps.runs.scores import read_scores
from competency_gaps.util import checked
from competency_gaps.util.errors import UserError
from core_helpers import assert_same_run, seal


@pytest.fixture
def folder(tiny_run, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_run.path, tmp_path / "run"))


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def scores(run, **models: float) -> pl.DataFrame:
    columns = [pl.lit(value).alias(name) for name, value in models.items()]
    return run.items.select("benchmark", pl.col("item_id").alias("id"), *columns)


def test_the_manifest_has_the_sha256_and_size_of_every_table(tiny_run):
    known = tiny_run.manifest["files"]
    names = {path.name for path in tiny_run.path.glob("*.parquet")}
    assert set(known) == {*names, BY_CONCEPT}
    for name, entry in known.items():
        content = (tiny_run.path / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_same_command_makes_all_of_it_again(folder, tiny_config, tiny_run):
    for name in ("concepts", "benchmarks", "slices"):
        flip(folder / f"{name}.parquet")
    for name in ("items", "overlap", "tokens"):
        (folder / f"{name}.parquet").unlink()
    flip(folder / "activations" / "by-concept" / "cas.npy", 0.9)
    flip(folder / FILE, 0.3)
    with pytest.raises(UserError, match=r"manifest\.json is damaged.*Repeat the command that made it"):
        competency_gaps.open_run(folder)
    run = competency_gaps.run(tiny_config, folder)
    assert_same_run(run, tiny_run)
    assert run.answer() == tiny_run.answer() and run.scan("tokens").collect().height


def test_a_flipped_bit_of_the_manifest_never_goes_unnoticed(folder):
    path, whole, content = folder / FILE, (folder / FILE).read_bytes(), read_manifest(folder)
    rng = np.random.default_rng(0)
    noticed = 0
    for place in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :])
        try:
            held = read_manifest(folder)
        except UserError as error:
            assert str(path) in str(error)
            noticed += 1
        else:
            assert held == content
    assert noticed > 250


def test_a_table_of_another_run_is_not_mixed_in(folder, tiny_run):
    shutil.copy(folder / "tokens.parquet", folder / "regions.parquet")
    with pytest.raises(UserError, match=r"regions\.parquet is not part of this run"):
        _ = competency_gaps.open_run(folder).regions
    opened = competency_gaps.open_run(folder)
    tiny_run.concepts.with_columns(label=pl.lit("new")).write_parquet(folder / "concepts.parquet")
    seal(folder)
    with pytest.raises(UserError, match=r"concepts\.parquet changed since the run was opened: open the run again"):
        _ = opened.concepts
    assert set(competency_gaps.open_run(folder).concepts["label"]) == {"new"}


def test_a_table_is_hashed_once_however_often_it_is_read(folder, monkeypatch):
    for path in folder.glob("*.parquet"):  # a checksum is kept once the file is old enough for its time to tell changes
        path.rename(path.with_suffix(".old"))
        path.with_suffix(".old").rename(path)
    monkeypatch.setattr(checked, "_SETTLED", -(10**12))
    hashed, real = [], checked.sha256
    monkeypatch.setattr(checked, "sha256", lambda path: hashed.append(path.name) or real(path))
    for _ in range(3):
        run = competency_gaps.open_run(folder)
        _ = run.items, run.scan("items").select("score").collect(), run.scan("concepts").collect()
    assert sorted(hashed) == ["concepts.parquet", "items.parquet"]
    flip(folder / "items.parquet")
    with pytest.raises(UserError, match="does not match"):
        _ = competency_gaps.open_run(folder).items


def test_damaged_arrays_by_concept_are_named_where_they_are_read(tiny_run, tmp_path):
    blocks = [(0, tiny_run._store.read(tiny_run.manifest["benchmarks"][0]["shards"][0]))]
    write_by_concept(tmp_path, lambda: blocks, tiny_run.width)
    for array in ("start", "scale", "item", "cas", "peak"):
        path = tmp_path / "by-concept" / f"{array}.npy"
        whole = path.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 5)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            with pytest.raises(UserError, match=f"{path} .*checksum"):
                ByConcept(tmp_path).column(0)
        path.write_bytes(whole[:-1])
        with pytest.raises(UserError, match=f"{array}.npy is missing or damaged"):
            ByConcept(tmp_path).columns(0, tiny_run.width)
        path.write_bytes(whole)


def test_every_bit_of_a_shard_counts(folder, tiny_run):
    """Whichever tensor, or the header, is damaged: an item's row is right, or the shard is named."""
    path = sorted((folder / "activations").glob("b000-*.safetensors"))[0]
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    rows = np.flatnonzero(tiny_run.item_rows.counts)[:40:8].tolist()
    refused = 0
    for place in [*rng.integers(0, len(whole), 60), *range(8, 400, 40)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :])
        run = competency_gaps.open_run(folder)
        for row in rows:
            try:
                own = run.item_rows.row(row)
            except UserError as error:
                assert path.name in str(error)
                refused += 1
            else:
                truth = tiny_run.item_rows.row(row)
                assert all(np.array_equal(a, b) for a, b in zip(own, truth, strict=True))
        with pytest.raises(UserError, match=path.name):
            run.cas("quiz")
    assert refused > 100
    path.write_bytes(whole)
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"b000-0000.* is missing or damaged"):
        competency_gaps.open_run(folder).cas("quiz")


def test_commands_that_change_a_run_keep_its_checksums(folder):
    run = competency_gaps.open_run(folder)
    run.add_scores(scores(run, one=0.5))
    run.add_scores(scores(run, two=1.0))
    assert read_scores(folder)["model"].unique().sort().to_list() == ["one", "two"]
    opened = competency_gaps.open_run(folder)
    assert opened.models.height == 3
    flip(folder / "scores.parquet")
    with pytest.raises(UserError, match=r"scores\.parquet is damaged.*add the scores again"):
        _ = competency_gaps.open_run(folder).models
    with pytest.raises(UserError, match=r"scores\.parquet is damaged"):
        competency_gaps.open_run(folder).add_scores(scores(run, three=0.0))


def test_damaged_scores_are_not_carried_on(folder, tiny_config):
    run = competency_gaps.open_run(folder)
    run.add_scores(scores(run, one=0.5))
    flip(folder / "scores.parquet")
    with pytest.raises(UserError, match=r"scores\.parquet is damaged"):
        competency_gaps.run(tiny_config, folder)
    assert competency_gaps.open_run(folder).items.height, "nothing was touched"
    (folder / "scores.parquet").unlink()
    again = competency_gaps.run(tiny_config, folder)
    assert again.models.height == 1
    again.add_scores(scores(again, one=0.5))
    set_aside(folder)  # killed while the tables were made anew
    flip(folder / "scores.parquet")
    with pytest.raises(UserError, match=r"scores\.parquet is damaged"):
        competency_gaps.run(tiny_config, folder)
    flip(folder / "scores.parquet")
    assert competency_gaps.run(tiny_config, folder).models.height == 2, "they stay with the run"


def test_documents_of_other_commands_are_compared_as_well(folder):
    path = folder / "robustness.json"
    checked.write_document(path, {"seed": 0, "verdicts": []})
    assert read_assessment(folder) == {"seed": 0, "verdicts": []}
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match=r"robustness\.json is damaged: .*checksum.*Check the run"):
        read_assessment(folder)
