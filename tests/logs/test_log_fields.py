"""Clusters, groups and covariates mapped to further columns of a log."""

from __future__ import annotations

import pytest
from log_reading import read

from competency_gaps.util.errors import UserError
from core_helpers import write_lines
from log_samples import inspect_sample, sample, write_log

FIELDS = {"cluster": "passage", "group": "area", "covariates.level": "level", "covariates.kind": "inner.kind"}
ABOUT = {"passage": "p1", "area": "law", "level": 3, "inner": {"kind": "essay"}}


def lm_eval_log(folder, about=ABOUT):
    records = [sample(number) for number in range(2)]
    for record in records:
        record["doc"] |= {"subject": "own", **about}
    return write_lines(folder / "samples_foxes_2026-01-01T00-00-00.000000.jsonl", records)


def inspect_log(folder, about=ABOUT):
    return write_log(folder / "log.json", [inspect_sample(1, metadata=about), inspect_sample(2, metadata=about)])


@pytest.mark.parametrize("log", [lm_eval_log, inspect_log])
def test_fields_reach_into_the_document(log, tmp_path):
    path = log(tmp_path)
    found = read(path, fields=FIELDS)
    assert len(found.items) == 2
    for item in found.items:
        assert (item.cluster, item.group) == ("p1", "law")
        assert item.covariates == {"level": 3.0, "kind": "essay"}
    assert [(one.cluster, one.covariates) for one in read(path).items] == [(None, {})] * 2


def test_fields_reach_into_the_record_around_the_document(tmp_path):
    found = read(lm_eval_log(tmp_path), fields={"cluster": "doc.passage", "covariates.hash": "doc_hash"})
    assert [(item.cluster, item.covariates, item.group) for item in found.items] == [("p1", {"hash": "d"}, "own")] * 2


@pytest.mark.parametrize("log", [lm_eval_log, inspect_log])
def test_an_absent_column_is_named_beside_those_present(log, tmp_path):
    with pytest.raises(UserError, match=r"there is no 'pasage'. The columns are .*passage.*Did you mean 'passage'"):
        read(log(tmp_path), fields={"cluster": "pasage"})


def test_what_a_log_cannot_map(tmp_path):
    with pytest.raises(UserError, match="maps 'score', which the format lm_eval reads itself"):
        read(lm_eval_log(tmp_path), fields={"score": "acc"})
