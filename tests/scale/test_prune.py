"""A pruned run opens and answers from its tables; what needs the rows says why it cannot."""

from __future__ import annotations

import shutil

import pytest

import competency_gaps as cg
from competency_gaps.errors import UserError
from core_helpers import TABLES, shard_bytes

SHARDS = ("responses", "activations")


@pytest.fixture
def pruned(tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    rows = [path for sub in SHARDS for path in (tmp_path / "run" / sub).glob("*.*")]
    size = sum(path.stat().st_size for path in rows)
    assert cg.prune(tmp_path / "run") == (len(rows), size)
    return cg.open_run(tmp_path / "run")


def test_tables_are_kept(pruned, tiny_run):
    for name in TABLES:
        assert getattr(pruned, name).equals(getattr(tiny_run, name), null_equal=True)
    concept = int(tiny_run.concepts["support"].arg_max())
    assert pruned.concept_items(concept).equals(tiny_run.concept_items(concept))
    assert pruned.weak().equals(tiny_run.weak()) and pruned.missing().equals(tiny_run.missing())
    assert not pruned.has_token_activations
    pruned.report()
    assert cg.compare(pruned, tiny_run).overall.height
    assert cg.prune(pruned) == (0, 0)


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.cas("quiz"),
        lambda run: run.item_rows,
        lambda run: run.token_activations(0, [0]),
        lambda run: cg.merge([run.path], run.path.parent / "joined"),
    ],
)
def test_what_needs_rows_names_prune(pruned, use):
    with pytest.raises(UserError, match="cgaps prune"):
        use(pruned)


def test_a_pruned_run_is_not_read_again(pruned, tiny_config):
    with pytest.raises(UserError, match="Choose another run folder"):
        cg.run(tiny_config, pruned.path)
    assert cg.open_run(pruned.path).items.height


@pytest.mark.parametrize("name", ["concepts.parquet", "activations/by-concept/cas.npy"])
def test_a_damaged_run_keeps_its_rows(tiny_run, tmp_path, name):
    """Its tables can be made anew from them."""
    folder = shutil.copytree(tiny_run.path, tmp_path / "run")
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    before = shard_bytes(folder)
    with pytest.raises(UserError, match="damaged"):
        cg.prune(folder)
    assert shard_bytes(folder) == before


def test_files_of_somebody_else_are_kept(tiny_run, tmp_path):
    folder, outside = shutil.copytree(tiny_run.path, tmp_path / "run"), tmp_path / "outside"
    own = folder / "responses" / "thesis.txt"
    own.write_text("x")
    left = folder / "responses" / ".b000-0000.0123456789abcdef.parquet.draft"
    left.write_text("x")
    shutil.copytree(folder / "responses", outside)
    cg.prune(folder)
    assert own.read_text() == "x" and not left.exists()
    shutil.rmtree(folder / "responses")
    (folder / "responses").symlink_to(outside)
    before = sorted(path.name for path in outside.iterdir())
    with pytest.raises(UserError, match="is a link"):
        cg.prune(folder)
    assert sorted(path.name for path in outside.iterdir()) == before


def test_files_that_another_run_shares_free_nothing(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run.path, tmp_path / "run")
    shared = sorted((folder / "activations").glob("*.safetensors"))[0]
    (tmp_path / "other").hardlink_to(shared)
    sizes = {path: path.stat().st_size for sub in SHARDS for path in (folder / sub).glob("*.*")}
    assert cg.prune(folder).bytes == sum(sizes.values()) - sizes[shared]


def test_what_is_no_run_is_not_pruned(tmp_path):
    with pytest.raises(UserError, match=r"does not exist|is not a run"):
        cg.prune(tmp_path / "none")
