"""Several batches that are read at once make the run of one, and each item is read once."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import torch
from rich.console import Console
from suite_helpers import make_small, with_answers

import competency_gaps as cg
from competency_gaps.model.batches import Attempts
from competency_gaps.pipeline.extraction import ShardReader
from competency_gaps.util.errors import MachineError
from competency_gaps.util.progress import Bar, Progress
from core_helpers import assert_same_run, objects, with_benchmarks


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture
def cores():
    """Sets the number of cores that are used."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_any_number_of_readers_is_the_run(tiny_config, tmp_path, cores, monkeypatch):
    config = {**with_answers(tiny_config, *tiny_config["benchmarks"]), "batch_tokens": 64}
    reads, at_once, inside = Attempts._try, [], [0]

    def counted(*given):
        inside[0] += 1
        at_once.append((inside[0], threading.current_thread().name, torch.get_num_threads()))
        try:
            return reads(*given)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(Attempts, "_try", staticmethod(counted))
    cores(1)
    one = cg.run(config, tmp_path / "one")
    assert {number for number, *_ in at_once} <= {1, 2}, "a batch, and its options"
    at_once.clear()
    cores(3)
    three = cg.run(config, tmp_path / "three")
    names = {name for _, name, _ in at_once if name.startswith("reader")}
    assert len(names) == 3 and {threads for _, name, threads in at_once if name in names} == {1}
    assert torch.get_num_threads() == 3
    for name in ("response", "excluded", "unscored", "n_tokens", "greedy", "score"):
        assert one.items[name].equals(three.items[name], null_equal=True), name
    for name in one.items["benchmark"].unique():
        ours, theirs = one.cas(name).toarray(), three.cas(name).toarray()
        assert ours == pytest.approx(theirs, abs=1e-5) and np.array_equal(ours > 0, theirs > 0)
    assert one.manifest["gate"]["l0"] == pytest.approx(three.manifest["gate"]["l0"])
    assert_same_run(cg.run(config, tmp_path / "again"), three)

    def fails(*given):
        if len(at_once) == 20:
            raise MachineError("the machine is gone")
        return counted(*given)

    at_once.clear()
    with monkeypatch.context() as patch, pytest.raises(MachineError, match="is gone"):
        patch.setattr(Attempts, "_try", staticmethod(fails))
        cg.run(config, tmp_path / "stopped")
    assert list((tmp_path / "stopped" / "responses").glob("*.parquet"))
    assert_same_run(cg.run(config, tmp_path / "stopped"), three)


def test_the_sample_for_the_gate_is_read_once(tiny_config, tmp_path, monkeypatch):
    items = [{"id": f"i{i}", "prompt": f"Compute the sum of {i} and {i * 7 % 10}.", "score": i % 2} for i in range(90)]
    config = with_benchmarks(tiny_config, [objects("sums", items, "imported")], batch_tokens=512)
    lm, read, seen = cg.load_model(tiny_config["model"]["name"], dtype="float32"), ShardReader.read, []
    tokens = [0]

    def counted(module, given, options):
        tokens[0] += options["input_ids"].numel()

    def kept(self, plan, shard, advance):
        seen.append(shard)
        return read(self, plan, shard, advance)

    monkeypatch.setattr(ShardReader, "read", kept)
    handle = lm.model.register_forward_pre_hook(counted, with_kwargs=True)
    run = cg.run(config, tmp_path / "run", model=lm)
    handle.remove()
    assert sorted(i for shard in seen for i in shard.members) == list(range(90)), "each item once"
    assert [shard.sampled for shard in seen] == sorted((shard.sampled for shard in seen), reverse=True)
    assert tokens[0] < 1.2 * run.items["n_tokens"].sum()
    assert run.manifest["read"]["items"] == run.manifest["read"]["of"] == 90
    # Drawn uniformly, until there are enough tokens.
    lengths = run.items["n_tokens"].to_numpy()
    order = np.random.default_rng(0).permutation(90)
    expected = order[: int(np.searchsorted(np.cumsum(lengths[order]), 512)) + 1]
    assert {i for shard in seen if shard.sampled for i in shard.members} == set(expected.tolist())
    assert run.manifest["gate"]["tokens"] == (lengths[expected] - 1).sum(), "without the first of each"


def test_time_left_is_that_of_tokens(tiny_config, tmp_path, monkeypatch):
    """The longest come first: items would be a tenth done when half of the work is."""
    items = [
        {"id": f"i{i}", "prompt": "How many days are there? " * (1 + 20 * (i < 8)) + str(i), "score": i % 2}
        for i in range(80)
    ]
    config = with_benchmarks(tiny_config, [objects("days", items, "imported")])
    config = {**config, "sae": {**config["sae"], "gate_tokens": 256}}
    read, shares, bars = ShardReader.read, [], []
    begin = Bar.__init__

    def started(self, display, name, *given):
        begin(self, display, name, *given)
        bars.extend([self] * (name == "reading"))

    def counted(self, *given):
        content = read(self, *given)
        if bars:
            task = bars[0].task
            work = (task.completed - task.fields["kept"]) / (task.total - task.fields["kept"])
            shares.append((work, sum(len(span.ids) for span in content.spans)))
        return content

    monkeypatch.setattr(Bar, "__init__", started)
    monkeypatch.setattr(ShardReader, "read", counted)
    cg.run(config, tmp_path / "run", progress=Progress(Console(file=io.StringIO())))
    tokens = np.cumsum([number for _, number in shares])
    assert [share for share, _ in shares] == pytest.approx(tokens / tokens[-1], abs=0.02)
