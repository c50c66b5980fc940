"""How shards are given out: tries, stragglers, and what goes through the object store. Ray is played."""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest

import competency_gaps as cg
from competency_gaps.errors import MachineError, UserError
from competency_gaps.items.item import Reason
from competency_gaps.progress import Progress
from competency_gaps.shards import Draft
from competency_gaps.stages import extraction, on_ray
from competency_gaps.stages.engines import Task
from competency_gaps.stages.extraction import Shard, ShardDraft
from competency_gaps.stages.on_ray import Fit, Pool
from competency_gaps.stages.ray_worker import Fault, Read, Ready
from core_helpers import RayErrors


class PlayedRay:
    """Answers each call of a worker with the next answer for it; None: the answer does not come yet."""

    exceptions = RayErrors

    def __init__(self, load, read):
        self.answers, self.killed, self.numbers = {}, [], itertools.count()
        self.put_down, self.sent = [], []
        self._load, self._read = load, read

    def remote(self, kind):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._worker))

    def put(self, value):
        self.put_down.append(value)
        return "reference"

    def _worker(self, *arguments):
        self.sent.append(arguments)
        load = SimpleNamespace(remote=lambda: self._call(self._load()))
        return SimpleNamespace(load=load, read=SimpleNamespace(remote=lambda name, *_: self._call(self._read(name))))

    def _call(self, answer):
        number = next(self.numbers)
        self.answers[number] = answer
        return number

    def wait(self, calls, num_returns, timeout):
        there = [call for call in calls if self.answers[call] is not None]
        return there[:1], []

    def get(self, call):
        return self.answers[call]

    def kill(self, worker):
        self.killed.append(worker)


def ready():
    return Ready("host", 1, "cpu")


def read(name):
    draft = Draft(f".{name}.draft", "")
    return Read(ShardDraft(name, "", draft, draft), [])


class Played:
    """What a pool needs of its work."""

    def __init__(self, names):
        self.committed, self.forgotten, self.shared = [], [], None
        files = SimpleNamespace(
            commit=lambda draft: self.committed.append(draft.name), forget=lambda draft: self.forgotten.append(draft)
        )
        self.missing = [Task(SimpleNamespace(name="quiz"), Shard(name, [0], "")) for name in names]
        self.reader, self.progress = SimpleNamespace(files=files), Progress(quiet=True)
        self.bar = SimpleNamespace(advance=lambda number: None)
        self.setting, self.folder = SimpleNamespace(config=None), Path("run")

    def check(self, task, reasons):
        if reasons:
            raise UserError("too many cannot be read")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(on_ray, "LOOK", 0.0)


def test_a_shard_on_which_workers_fail_is_given_up_and_named():
    work = Played(["a", "b", "c"])
    ray = PlayedRay(ready, lambda name: Fault("it died", by_user=False) if name == "b" else read(name))
    with pytest.raises(MachineError, match="3 workers failed on shard b, the last because it died"):
        Pool(ray, work, Fit(2, 1, 0)).read()
    assert "b" not in work.committed and len(ray.killed) == on_ray.TRIES


def test_a_shard_that_fails_once_is_read_by_another_worker():
    work, failures = Played(["a", "b", "c"]), deque([Fault("it died", by_user=False)])
    ray = PlayedRay(ready, lambda name: failures.popleft() if name == "b" and failures else read(name))
    Pool(ray, work, Fit(2, 1, 0)).read()
    assert sorted(work.committed) == ["a", "b", "c"] and len(ray.killed) == 1


def test_workers_that_cannot_load_are_given_up():
    with pytest.raises(MachineError, match="failed on loading the model, the last because no room"):
        Pool(PlayedRay(lambda: Fault("no room", by_user=False), read), Played(["a"]), Fit(1, 1, 0)).read()
    ray = PlayedRay(lambda: Fault("wrong model", by_user=True), read)
    with pytest.raises(UserError, match="wrong model"):
        Pool(ray, Played(["a", "b"]), Fit(2, 1, 0)).read()
    assert len(ray.killed) == 2


@pytest.mark.parametrize("by_user", [False, True])
def test_a_machine_on_which_the_model_cannot_be_loaded_costs_its_worker_only(by_user):
    loads, asked = deque([ready()] + [Fault("no GPU", by_user=by_user)] * 9), []
    given_up = 2 if by_user else 1 + on_ray.TRIES

    def load():
        asked.append(1)
        if len(asked) == given_up:  # until then the good worker reads
            ray.answers.update({call: read("a") for call, answer in ray.answers.items() if answer is None})
        return loads.popleft()

    work = Played(["a", "b", "c"])
    ray = PlayedRay(load, lambda name: read(name) if len(asked) >= given_up else None)
    Pool(ray, work, Fit(2, 1, 0)).read()
    assert sorted(work.committed) == ["a", "b", "c"] and len(asked) == given_up


def test_a_worker_that_hangs_is_ended_and_said(monkeypatch):
    monkeypatch.setattr(on_ray, "LONG", 0.05)
    monkeypatch.setattr(on_ray, "HANGS", 0.0)
    work, asked = Played(["b", "a"]), []

    def hangs(name):
        asked.append(name)
        return None if name == "a" and asked.count("a") == 1 else read(name)

    ray, lines = PlayedRay(ready, hangs), []
    monkeypatch.setattr(work.progress, "say", lines.append)
    Pool(ray, work, Fit(1, 1, 0)).read()
    assert sorted(work.committed) == ["a", "b"] and len(ray.killed) == 1
    assert any("process 1 on host has read shard a for 0 minutes and is taken to hang" in line for line in lines)


def test_the_first_shard_may_take_long_but_it_is_said(monkeypatch):
    monkeypatch.setattr(on_ray, "LONG", 0.01)
    work = Played(["a"])
    ray, lines = PlayedRay(ready, lambda name: None), []

    def say(line):
        lines.append(line)
        if "has read shard a" in line:
            ray.answers.update({call: read("a") for call, answer in ray.answers.items() if answer is None})

    monkeypatch.setattr(work.progress, "say", say)
    Pool(ray, work, Fit(1, 1, 0)).read()
    assert work.committed == ["a"] and not ray.killed


def test_too_many_items_that_workers_cannot_read_end_the_run():
    ray = PlayedRay(ready, lambda name: Read(read(name).draft, ["why"]))
    with pytest.raises(UserError, match="too many cannot be read"):
        Pool(ray, Played(["a"]), Fit(1, 1, 0)).read()


def test_a_straggler_is_read_twice_and_counts_once(monkeypatch):
    monkeypatch.setattr(on_ray, "SLOW", 0.0)
    work, asked = Played(["a", "b", "c"]), []

    def slow(name):
        asked.append(name)
        return None if name == "a" and asked.count("a") == 1 else read(name)

    ray = PlayedRay(ready, slow)
    pool = Pool(ray, work, Fit(2, 1, 0))
    pool.read()
    assert sorted(work.committed) == ["a", "b", "c"] and asked.count("a") == 2 and not work.forgotten
    (late,) = pool.running
    ray.answers[late] = read("a")
    pool._take(late)
    assert work.committed.count("a") == 1 and len(work.forgotten) == 1


def test_a_second_reader_that_fails_late_is_not_missed():
    work = Played(["a"])
    ray = PlayedRay(ready, lambda name: None)
    pool = Pool(ray, work, Fit(1, 1, 0))
    pool.done.add("a")
    pool.running[7] = on_ray._Running(on_ray._Worker("handle", "here"), work.missing[0], 0.0, 1.0)
    ray.answers[7] = Fault("it died", by_user=True)
    pool._take(7)
    assert ray.killed == ["handle"] and not pool.queue and not pool.loading


class PlayedStore:
    """A store that does not give a shard at the first ``failing`` tries, and gives it then."""

    def __init__(self, failing):
        self.failing, self.store = failing, SimpleNamespace(address="memory://run")

    def fetch(self, shard):
        self.failing -= 1
        return None if self.failing >= 0 else read(shard.name).draft


@pytest.fixture
def stored(monkeypatch):
    monkeypatch.setattr(on_ray, "as_dict", lambda config: {})
    return Played(["a"])


def test_a_copy_that_fails_costs_no_worker(stored):
    stored.shared, asked = PlayedStore(on_ray.TRIES - 1), []
    ray = PlayedRay(ready, lambda name: asked.append(name) or Read(None, []))
    Pool(ray, stored, Fit(1, 1, 0)).read()
    assert stored.committed == ["a"] and asked == ["a"] * on_ray.TRIES and not ray.killed


def test_copies_that_fail_again_and_again_end_the_run(stored):
    stored.shared = PlayedStore(99)
    with pytest.raises(
        MachineError, match=r"3 workers failed on shard a, the last because the shard .* damaged or gone"
    ):
        Pool(PlayedRay(ready, lambda name: Read(None, [])), stored, Fit(1, 1, 0)).read()


def test_a_configuration_is_kept_once_for_all_workers(stored):
    """Where workers read it from the run folder it is not kept at all."""
    for shared, expected in ((PlayedStore(0), "reference"), (None, None)):
        work = Played(["a", "b", "c"])
        work.shared = shared
        answer = Read(None, []) if shared else read("a")
        ray = PlayedRay(ready, lambda name, answer=answer: answer)
        Pool(ray, work, Fit(3, 1, 0)).read()
        assert len(ray.put_down) == (shared is not None)
        assert len(ray.sent) == 3 and all(arguments[2] == expected for arguments in ray.sent)


@pytest.mark.parametrize("kind", ["ObjectStoreFullError", "OutOfDiskError"])
def test_a_full_object_store_is_named_with_what_to_do(stored, kind, tmp_path, monkeypatch):
    def full(value):
        raise getattr(ray.exceptions, kind)("Failed to put object in object store")

    ray = PlayedRay(ready, read)
    ray.put, ray.nodes = full, lambda: [{"Alive": True, "Resources": {"CPU": 1}}]
    stored.shared, stored.folder = PlayedStore(0), tmp_path
    stored.reader.files.sweep = lambda: None
    monkeypatch.setattr(on_ray, "as_dict", lambda config: {})
    monkeypatch.setattr(on_ray, "_release", lambda setting: None)
    engine = on_ray.ReadOnRay(cg.RayWorkers(workers=1, threads=1), ray)
    with pytest.raises(MachineError, match=r"object store .* is full.*Failed to put.*--object-store-memory, or write"):
        engine(stored)
    assert not (tmp_path / on_ray.SETTINGS).exists()


def test_the_longest_answer_of_a_worker_is_sent_beside_the_object_store():
    """Ray sends what is shorter than 100 kB from process to process: here no item of a shard could be read."""
    why = [
        Reason("model_failed", f"the model fails on it: {number:04d}" + "x" * 196)
        for number in range(extraction.SHARD_ITEMS)
    ]
    assert len(pickle.dumps(Read(read("b000-0000").draft, why))) < 100_000


def test_the_last_worker_is_replaced_while_shards_wait():
    """It fails on a shard that another had finished before, while another shard waits to be read again."""
    work = Played(["a", "b"])
    ray = PlayedRay(ready, read)
    pool = Pool(ray, work, Fit(1, 1, 0))
    pool.done.add("a")
    pool.queue.append(work.missing[1])
    pool.running[7] = on_ray._Running(on_ray._Worker("handle", "here"), work.missing[0], 0.0, 1.0)
    ray.answers[7] = Fault("it died", by_user=False)
    pool._take(7)
    assert ray.killed == ["handle"] and len(pool.loading) == 1
