"""A run in a notebook: what it shows, what it gives, and loaded models used again."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

import competency_gaps as cg
from competency_gaps.api.make import read_config
from competency_gaps.util.errors import UserError
from core_helpers import with_benchmarks


@pytest.fixture
def run(tiny_run):
    return cg.open_run(tiny_run.path)


def test_repr_hash_and_pickle(run):
    assert repr(run).startswith(f"Run({str(run.path)!r}: ") and "\n" not in repr(run)
    again = pickle.loads(pickle.dumps(run))  # noqa: S301
    assert again == run and hash(again) == hash(run) and len({run, again}) == 1
    assert again.concepts.equals(run.concepts)


def test_a_relative_path_survives_a_change_of_directory(run, monkeypatch, tmp_path):
    monkeypatch.chdir(run.path.parent)
    relative = cg.open_run(run.path.name)
    monkeypatch.chdir(tmp_path)
    assert relative == run and hash(relative) == hash(run) and relative.items.equals(run.items)


def test_what_a_notebook_shows_is_escaped(run):
    answer = run.answer()
    assert answer._repr_html_() in run._repr_html_()
    shown = replace(answer, model="<script>alert(1)</script>\x1b[31m")._repr_html_()
    assert "&lt;script" in shown and "<script" not in shown and "\x1b" not in shown


def test_what_is_not_there_is_refused(run):
    with pytest.raises(UserError, match="concept '17': expected its number"):
        run.concept_items("17")
    with pytest.raises(UserError, match="concept 9999 does not exist"):
        run.concept_items(9999)
    for place in ("activations", "manifest.json"):
        with pytest.raises(UserError, match="is not a run"):
            cg.open_run(run.path / place)
    with pytest.raises(UserError, match="no run given"):
        cg.export([], run.path.with_name("page"))


def test_a_loaded_model_serves_several_runs(tiny_config, tiny_run, tmp_path):
    config = read_config(tiny_config)
    model = cg.load_model(**config.model.model_dump(exclude_defaults=True))
    made = cg.run(tiny_config, tmp_path / "run", model=model)
    assert made.concepts.equals(tiny_run.concepts)
    other = config.model_copy(update={"model": config.model.model_copy(update={"name": "elsewhere"})})
    with pytest.raises(UserError, match="the configuration names 'elsewhere'"):
        cg.run(other, tmp_path / "other", model=model)


def test_without_a_folder_the_run_lies_in_a_temporary_one(tiny_config):
    small = with_benchmarks(tiny_config, [{**tiny_config["benchmarks"][0], "sample": 8}], out=None)
    with pytest.warns(UserWarning, match="no folder given, so the run is written to"):
        made = cg.run(small)
    assert (made.path / "manifest.json").is_file() and made.items.height == 8
