"""How many workers fit into a cluster, and what each takes."""

from __future__ import annotations

import pytest

import competency_gaps as cg
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.stages.on_ray import Fit, fit


@pytest.mark.parametrize(
    ("settings", "machines", "expected"),
    [
        ({}, [(8, 0)], Fit(1, 8, 0)),
        ({}, [(8, 0), (4, 0)], Fit(2, 4, 0)),
        ({"workers": 2}, [(2, 0)], Fit(2, 1, 0)),
        ({"workers": 3}, [(8, 0)], Fit(3, 2, 0)),
        ({}, [(16, 4), (16, 4)], Fit(8, 4, 1)),
        ({"gpus_per_worker": 2}, [(16, 4), (16, 4)], Fit(4, 8, 2)),
        ({"gpus_per_worker": 0.5, "threads": 1}, [(16, 2)], Fit(4, 1, 0.5)),
        ({"gpus_per_worker": 0, "workers": 2}, [(16, 4)], Fit(2, 8, 0)),
    ],
)
def test_workers_fit_into_the_machines(settings, machines, expected):
    assert fit(cg.RayWorkers(**settings), machines) == expected


@pytest.mark.parametrize(
    ("settings", "machines"),
    [({"workers": 5}, [(2, 0)]), ({"gpus_per_worker": 1}, [(8, 0)]), ({"threads": 16}, [(8, 0)])],
)
def test_too_many_are_refused(settings, machines):
    with pytest.raises(UserError, match="the cluster has room for"):
        fit(cg.RayWorkers(**settings), machines)


def test_a_share_of_gpus_above_one_is_refused():
    with pytest.raises(UserError, match=r"gpus_per_worker 1\.5: expected a whole number"):
        fit(cg.RayWorkers(gpus_per_worker=1.5), [(16, 4)])


def test_without_ray_the_command_that_installs_it_is_named(tiny_config, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'ray'.*install .*\[ray\]"):
        cg.run(tiny_config, tmp_path / "run", workers=cg.RayWorkers())
