"""How shards are given to workers. Ray is played."""

from __future__ import annotations

import itertools
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest

import competency_gaps as cg
from competency_gaps.pipeline import on_ray
from competency_gaps.pipeline.engines import Task
from competency_gaps.pipeline.extraction import Shard
from competency_gaps.pipeline.on_ray import Fault, Fit, Pool, Read, fit
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.shards import Draft, ShardDraft
from core_helpers import RayErrors

DIED = Fault("it died", by_user=False)


class PlayedRay:
    """Answers each call of a worker with the next answer for it."""

    exceptions = RayErrors

    def __init__(self, load, read):
        self.answers, self.killed, self.numbers = {}, [], itertools.count()
        self._load, self._read = load, read

    def put(self, value):
        return value

    def remote(self, kind):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._worker))

    def _worker(self, *arguments):
        load = SimpleNamespace(remote=lambda: self._call(self._load()))
        return SimpleNamespace(load=load, read=SimpleNamespace(remote=lambda name, *_: self._call(self._read(name))))

    def _call(self, answer):
        number = next(self.numbers)
        self.answers[number] = answer
        return number

    def wait(self, calls, num_returns, timeout):
        return calls[:1], []

    def get(self, call):
        return self.answers[call]

    def kill(self, worker):
        self.killed.append(worker)


def ready():
    return "process 1 on host, cpu"


def read(name):
    draft = Draft(f".{name}.draft", "")
    return Read(ShardDraft(name, "", [draft, draft]), [])


class Played:
    """What a pool needs of its work."""

    def __init__(self, names):
        self.committed, self.store = [], None
        files = SimpleNamespace(commit=lambda draft: self.committed.append(draft.name))
        self.missing = [Task(SimpleNamespace(name="quiz"), Shard(name, [0], "")) for name in names]
        self.reader, self.progress = SimpleNamespace(files=files), Progress(quiet=True)
        self.bar = SimpleNamespace(advance=lambda number: None)
        self.setting, self.folder = SimpleNamespace(config=None), Path("run")

    def check(self, task, reasons):
        assert not reasons


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch):
    monkeypatch.setattr(on_ray, "as_dict", lambda config: {})


def test_a_shard_on_which_workers_fail_is_given_up():
    work = Played(["a", "b", "c"])
    ray = PlayedRay(ready, lambda name: DIED if name == "b" else read(name))
    with pytest.raises(MachineError, match="3 workers failed on shard b, the last because it died"):
        Pool(ray, work, Fit(2, 1, 0)).read()
    assert "b" not in work.committed and len(ray.killed) == on_ray.MAX_FAILURES


def test_a_shard_that_fails_once_is_read_by_another_worker():
    work, failures = Played(["a", "b", "c"]), deque([DIED])
    ray = PlayedRay(ready, lambda name: failures.popleft() if name == "b" and failures else read(name))
    Pool(ray, work, Fit(2, 1, 0)).read()
    assert sorted(work.committed) == ["a", "b", "c"] and len(ray.killed) == 1


def test_workers_that_cannot_load_are_given_up():
    with pytest.raises(MachineError, match="failed on loading the model, the last because it died"):
        Pool(PlayedRay(lambda: DIED, read), Played(["a"]), Fit(1, 1, 0)).read()
    with pytest.raises(UserError, match="wrong model"):
        Pool(PlayedRay(lambda: Fault("wrong model", by_user=True), read), Played(["a"]), Fit(2, 1, 0)).read()


def test_a_worker_that_cannot_load_is_replaced():
    loads, work = deque([DIED, ready(), DIED, ready()]), Played(["a", "b", "c"])
    Pool(PlayedRay(loads.popleft, read), work, Fit(2, 1, 0)).read()
    assert sorted(work.committed) == ["a", "b", "c"]


def test_a_shard_gone_from_the_store_is_reread():
    work, fetched = Played(["a"]), deque([None, read("a").draft])
    work.store = SimpleNamespace(address="s3://bucket/run", fetch=lambda *_: fetched.popleft())
    work.reader.files.folders = ()
    Pool(PlayedRay(ready, lambda name: Read(None, [])), work, Fit(1, 1, 0)).read()
    assert work.committed == ["a"]


def test_workers_fit_the_machines():
    two = [(8, 2.0), (8, 2.0)]
    assert fit(cg.RayWorkers(), two) == (4, 4, 1.0)
    assert fit(cg.RayWorkers(), [(8, 0.0), (4, 0.0)]) == (2, 4, 0.0)
    assert fit(cg.RayWorkers(workers=8, gpus_per_worker=0.5), two) == (8, 2, 0.5)
    assert fit(cg.RayWorkers(workers=3, threads=2, gpus_per_worker=0), two) == (3, 2, 0)
    for settings in (cg.RayWorkers(workers=5), cg.RayWorkers(workers=1, threads=9)):
        with pytest.raises(UserError, match="the cluster has room for"):
            fit(settings, two)
