"""A store holds the shards of one run for machines that share nothing else."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest
from suite_helpers import make_small, only_the_sample, run_small, with_answers

import competency_gaps as cg
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.pipeline import engines
from competency_gaps.pipeline.extraction import ShardReader
from competency_gaps.runs.store import RunStore
from competency_gaps.util.errors import MachineError, MissingExtraError, UserError
from competency_gaps.util.shards import ShardDraft, ShardFolder
from core_helpers import assert_same_run, command

PLAN = {
    **{key: {} for key in ("model", "sae", "versions", "benchmarks", "plugins")},
    "config": {"benchmarks": [], "span": "question"},
    "hook": [],
}


def folders(place: Path) -> tuple[ShardFolder, ShardFolder]:
    return ShardFolder(place / "activations", ".safetensors"), ShardFolder(place / "responses", ".parquet")


def draft(place: Path, text: str) -> ShardDraft:
    made = [folder.draft("b000-0000", lambda part: part.write_text(text)) for folder in folders(place)]
    return ShardDraft("b000-0000", "input", made)


def held(store: RunStore, place: Path) -> str | None:
    """What the shard in a store holds, copied into a folder."""
    made = store.fetch("b000-0000", "input", folders(place))
    if made is None:
        return None
    rows, answers = ((f.folder / file.file).read_text() for f, file in zip(folders(place), made.files, strict=True))
    assert rows == answers
    return rows


def test_of_two_writers_the_first_counts(address, tmp_path):
    one, two = RunStore(address), RunStore(address)
    assert one.plan() is None and one.names() == set()
    one.claim(PLAN)
    two.claim(PLAN)
    assert two.plan() == PLAN
    with pytest.raises(UserError, match=r'differs in span \("question" and "prompt"\)'):
        two.claim({**PLAN, "config": {**PLAN["config"], "span": "prompt"}})
    assert one.publish(draft(tmp_path / "1", "first"), folders(tmp_path / "1"))
    assert not two.publish(draft(tmp_path / "2", "second"), folders(tmp_path / "2"))
    assert two.names() == {"b000-0000"}
    assert held(two, tmp_path / "3") == "first"
    assert two.publish(draft(tmp_path / "2", "better"), folders(tmp_path / "2"), again=True)
    assert held(one, tmp_path / "4") == "better"
    assert one.fetch("b000-0000", "other input", folders(tmp_path / "5")) is None
    assert one.names() == set(), "a shard of other input is removed"


def test_one_of_many_writers_at_once_counts(tmp_path):
    address, counts = f"file://{tmp_path}/store", []

    def write(number: int) -> None:
        place = tmp_path / str(number)
        if RunStore(address).publish(draft(place, str(number)), folders(place)):
            counts.append(str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 1 and held(RunStore(address), tmp_path / "read") == counts[0]
    assert len(list((tmp_path / "store" / "activations").iterdir())) == 1


@pytest.mark.parametrize("how", ["changed", "missing", "marker", "elsewhere"])
def test_a_damaged_shard_is_left_out_with_a_warning(tmp_path, caplog, how):
    store, place = RunStore(f"file://{tmp_path}/store"), tmp_path / "1"
    store.publish(draft(place, "text"), folders(place))
    (file,) = (tmp_path / "store" / "responses").iterdir()
    marker = tmp_path / "store" / "shards" / "b000-0000.json"
    if how == "changed":
        file.write_text("texT")
    elif how == "missing":
        file.unlink()
    elif how == "marker":
        marker.write_bytes(marker.read_bytes()[:-9])
    else:
        (tmp_path / "victim").write_text("text")
        marker.write_text(marker.read_text().replace(file.name, "../../victim"))
    with caplog.at_level(logging.WARNING):
        assert held(store, tmp_path / "2") is None
    assert "cannot be used" in caplog.text and not marker.exists()
    assert not [path for path in (tmp_path / "2").rglob("*") if path.is_file()]


def test_addresses_with_secrets_or_without_scheme_are_refused(tmp_path):
    for address in ("s3://AKIA:hush@bucket/run", "s3://bucket/run?key=hush"):
        with pytest.raises(UserError, match="Give only the place") as refused:
            RunStore(address)
        assert "hush" not in str(refused.value)
    with pytest.raises(UserError, match="with a scheme"):
        RunStore(str(tmp_path))
    with pytest.raises((UserError, MissingExtraError)):
        RunStore("nothing-like-it://bucket/run")


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_named(s3_address):
    with pytest.raises(UserError, match=r"cannot be used: .*Check the address"):
        RunStore("s3://no-such-bucket/run")


@pytest.fixture(scope="module")
def config(tiny_config):
    _, sums = tiny_config["benchmarks"]
    return with_answers(tiny_config, {**sums, "sample": 24})


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    return run_small(config, tmp_path_factory.mktemp("straight") / "run")


@pytest.fixture
def reads(monkeypatch):
    """Names of the shards that are read, without the sample, which each folder reads."""
    make_small(monkeypatch)
    whole, names = ShardReader.read, []

    def counted(self, plan, shard, *arguments):
        names.extend([shard.name] * (not shard.sampled))
        return whole(self, plan, shard, *arguments)

    monkeypatch.setattr(ShardReader, "read", counted)
    return names


def test_machines_without_common_disks_make_one_run(config, straight, address, tmp_path, reads):
    assert_same_run(cg.run(config, tmp_path / "first" / "run", store=address), straight)
    assert_same_run(cg.run(config, tmp_path / "second" / "run", store=address), straight)
    assert len(reads) == len(set(reads)) == 4, "each shard is read once"


def test_a_run_whose_store_failed_goes_on_elsewhere(config, straight, tmp_path, monkeypatch, reads):
    address, whole, sent = f"file://{tmp_path}/store", RunStore.publish, []

    def fails(self, *arguments, **options):
        sent.append(1)
        if len(sent) == 4:  # after the sample's two
            raise self._failed(ConnectionError("reset"))
        return whole(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "publish", fails)
        with pytest.raises(MachineError, match=r"the store file://.*reset. Finished work is kept"):
            cg.run(config, tmp_path / "run", store=address)
    kept, lost = 1, len(reads) - 1
    made = cg.run(config, tmp_path / "elsewhere", store=address)
    assert len(reads) == 4 + lost, f"the {kept} that was published is not read again"
    assert_same_run(made, straight)


def test_what_was_read_without_a_store_is_put_there(config, straight, tmp_path, monkeypatch):
    make_small(monkeypatch)
    monkeypatch.setattr(ShardReader, "read", only_the_sample)
    address = f"file://{tmp_path}/store"
    cg.run(config, straight.path, store=address)
    assert_same_run(cg.run(config, tmp_path / "other", store=address), straight)


def test_a_shard_for_which_memory_ran_out_is_replaced(config, straight, tmp_path, monkeypatch, reads):
    address = f"file://{tmp_path}/store"
    cg.run(config, tmp_path / "small", store=address)
    before, asked, real = set((tmp_path / "store" / "responses").iterdir()), [], engines.unreadable

    def short(table):
        asked.append(1)
        return [OUT_OF_MEMORY] if len(asked) == 5 else real(table)  # of the first shard that is in the store alone

    reads.clear()
    monkeypatch.setattr(engines, "unreadable", short)
    made = cg.run(config, tmp_path / "large", store=address)
    assert len(reads) == 1
    assert len(set((tmp_path / "store" / "responses").iterdir()) - before) == 1
    assert_same_run(made, straight)


@pytest.mark.slow
def test_commands_share_a_store_and_keep_no_secret(config, s3_environment, s3_address, tmp_path):
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    given = ("run", "run.yaml", "--quiet", "--out")
    for folder in ("first", "second"):
        done = command(*given, folder, "--json", "--store", s3_address, cwd=tmp_path, env=s3_environment)
        assert done.returncode == 0 and json.loads(done.stdout)["benchmarks"], done.stderr
    secret = s3_environment["AWS_SECRET_ACCESS_KEY"].encode()
    assert not any(secret in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
