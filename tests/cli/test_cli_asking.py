"""``--llm FILE`` is the same in every command; files of requests and answers take the place of its endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

import competency_gaps
from competency_gaps.cli.app import app
from competency_gaps.config import LLMConfig
from competency_gaps.errors import UserError

FILES = {"--requests", "--answers"}


def options_of(name: str) -> set[str]:
    command = typer.main.get_command(app).commands[name]
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", ["label", "run", "match", "scope", "probe", "explore"])
def test_every_command_that_asks_has_one_option(name):
    assert "--llm" in options_of(name)
    assert options_of(name) >= FILES if name in ("label", "run") else not FILES & options_of(name)


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """``cgaps run`` over a file with a judge; gives the judge that is meant, and runs nothing."""
    from competency_gaps.cli import run

    met = []
    monkeypatch.setattr(competency_gaps, "run", lambda config, out, **rest: met.append(config.judge))
    monkeypatch.setattr(run, "print_run", lambda run, json_: None)

    def judge_of(in_file: dict | None, *options: str) -> LLMConfig | None:
        file = tmp_path / "run.yaml"
        source = {"kind": "file", "path": "q.jsonl"}
        data = {"model": {"name": "m"}, "sae": {"folder": "s"}, "benchmarks": [{"name": "q", "source": source}]}
        file.write_text(json.dumps(data if in_file is None else {**data, "judge": in_file}))
        CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path), *options], catch_exceptions=False)
        return met.pop()

    return judge_of


def test_llm_takes_the_place_of_the_configured_judge(judged, tmp_path):
    in_file, other = {"base_url": "http://a/v1", "model": "m", "timeout": 7}, {"base_url": "http://b/v1", "model": "n"}
    path = tmp_path / "llm.yaml"
    path.write_text("base_url: http://b/v1\nmodel: n\n")
    assert judged(None) is None
    assert judged(in_file) == LLMConfig(**in_file)
    assert judged(in_file, "--llm", str(path)) == LLMConfig(**other)
    assert judged(in_file, "--set", "judge.timeout=9") == LLMConfig(**{**in_file, "timeout": 9})


def test_files_take_the_place_of_the_endpoint(judged):
    in_file = {"base_url": "http://a/v1", "model": "m", "timeout": 7}
    assert judged(in_file, "--requests", "o") == LLMConfig(model="m", timeout=7, requests="o")
    assert judged(None, "--answers", "a", "--answers", "b") == LLMConfig(answers=[Path("a"), Path("b")])


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "llm.yaml"
    path.write_text("base_url: http://b/v1\nmodel: n\nconcurency: 3\n")
    done = CliRunner().invoke(app, ["label", "d", "--step", "explain", "--llm", str(path)])
    assert isinstance(done.exception, UserError) and "llm.yaml" in str(done.exception)
    assert "Did you mean 'concurrency'?" in str(done.exception)
