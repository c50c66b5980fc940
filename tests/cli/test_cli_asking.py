"""The options about asking a language model: the same in every command, and a judge's over those of a file."""

from __future__ import annotations

import json

import pytest
import typer.main
from typer.testing import CliRunner

import competency_gaps
from competency_gaps.cli.app import app
from competency_gaps.cli.options import PANEL
from competency_gaps.config import AskConfig, parse_config
from competency_gaps.endpoint import Asking
from competency_gaps.errors import UserError

ALL = {
    *("--base-url", "--model", "--export", "--import", "--key-env", "--concurrency", "--timeout", "--retries"),
    *("--structured", "--price-in", "--price-out", "--max-tokens", "--max-cost", "--answer-tokens", "--again", "--yes"),
}
CHAT = {"--base-url", "--model", "--key-env", "--timeout", "--answer-tokens"}


def options_of(*names: str) -> set[str]:
    """The options in the panel about asking, of a command by its names."""
    command = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]
    asked = [option for option in command.params if getattr(option, "rich_help_panel", None) == PANEL]
    assert all(option.help for option in asked)
    return {option.opts[0] for option in asked}


@pytest.mark.parametrize("names", [["label"], ["findings"], ["match"], ["scope"], ["probe"]])
def test_every_command_has_the_same_options(names):
    assert options_of(*names) == ALL


def test_the_chat_and_the_judge_have_their_share():
    assert options_of("explore") == CHAT
    assert options_of("run") == {option.replace("--", "--judge-") for option in ALL}


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """``cgaps run`` with options for the judge, over a file; gives the judge that is meant, and runs nothing."""
    from competency_gaps.cli import run

    met = []
    monkeypatch.setattr(competency_gaps, "run", lambda config, out, **rest: met.append(config.judge))
    monkeypatch.setattr(run, "print_run", lambda run, json_: None)

    def judge_of(in_file: dict | None, *options: str) -> AskConfig | None:
        file = tmp_path / "run.yaml"
        source = {"kind": "file", "path": "q.jsonl"}
        data = {"model": {"name": "m"}, "sae": {"folder": "s"}, "benchmarks": [{"name": "q", "source": source}]}
        file.write_text(json.dumps(data if in_file is None else {**data, "judge": in_file}))
        CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path), *options], catch_exceptions=False)
        return met.pop()

    return judge_of


def test_options_override_the_file(judged):
    file = {"base_url": "http://a/v1", "model": "m", "timeout": 7, "max_tokens": 50, "answer_tokens": 9}
    assert judged(None) is None
    assert judged(file) == AskConfig(**file)
    assert judged(file, "--judge-timeout", "120", "--judge-yes") == AskConfig(**{**file, "timeout": 120, "yes": True})
    assert judged(file, "--judge-base-url", "http://b/v1") == AskConfig(**{**file, "base_url": "http://b/v1"})
    # Batch files take the endpoint's place, and nothing is left that concerns only an endpoint.
    exported = judged(file, "--judge-export", "out.jsonl")
    assert exported == AskConfig(model="m", export="out.jsonl", answer_tokens=9)
    both = judged(None, "--judge-import", "a", "--judge-import", "b")
    assert both is not None and [str(path) for path in both.imports] == ["a", "b"]


def test_errors_name_options_or_arguments():
    values = {"base_url": "http://a/v1", "model": "m", "price_in": 1.0}
    with pytest.raises(UserError, match="'price_in' and 'price_out'"):
        parse_config(AskConfig, values, "file")
    done = CliRunner().invoke(
        app, ["label", "d", "--step", "explain", "--base-url", "http://a/v1", "--model", "m", "--price-in", "1"]
    )
    assert isinstance(done.exception, UserError) and "give both --price-in and --price-out" in str(done.exception)
    done = CliRunner().invoke(app, ["label", "d", "--step", "explain", "--concurrency", "0"])
    assert isinstance(done.exception, UserError) and "--concurrency: " in str(done.exception)


def test_a_way_of_asking_holds_what_was_configured(tmp_path):
    way = Asking.of(
        AskConfig(
            base_url="http://a/v1",
            model="m",
            key_env="OTHER_KEY",
            concurrency=3,
            timeout=4.0,
            retries=2,
            structured="none",
            price_in=1.0,
            price_out=2.0,
            max_tokens=10,
            max_cost=0.5,
        )
    )
    endpoint = way.endpoint
    assert endpoint is not None and (endpoint.base_url, endpoint.model, endpoint.key_env) == (
        *("http://a/v1", "m"),
        "OTHER_KEY",
    )
    assert (endpoint.concurrency, endpoint.timeout, endpoint.retries, endpoint.structured) == (3, 4.0, 2, "none")
    assert endpoint.prices is not None and endpoint.prices.cost(1_000_000, 1_000_000) == 3.0
    assert (way.cap.max_tokens, way.cap.max_cost, way.answerer, way.where) == (10, 0.5, "m", "http://a/v1")
    exported = Asking.of(AskConfig(export=tmp_path / "out.jsonl"), answerer="last")
    assert (exported.endpoint, exported.answerer, exported.where) == (None, "last", "batch")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give one of"),
        ({"base_url": "http://a/v1"}, "needs 'model'"),
        ({"export": "o", "imports": ["i"]}, "found 'export', 'imports'"),
        ({"export": "o", "max_tokens": 5}, "'max_tokens' means something only with 'base_url'"),
        ({"model": "m", "again": True}, "'again' means something only with 'base_url'"),
        ({"base_url": "http://a/v1", "model": "m", "max_cost": 5}, "'max_cost' needs 'price_in'"),
        ({"base_url": "http://a/v1", "model": "m", "retries": 21}, "retries"),
        ({"base_url": "http://a/v1", "model": "m", "structured": "xml"}, "structured"),
        ({"base_url": "http://a/v1", "model": "m", "url": "x"}, "base_url"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        parse_config(AskConfig, values, "file")


def test_a_configuration_survives_a_round_trip():
    for values in ({"export": "o"}, {"imports": ["a"]}, {"model": "m"}, {"base_url": "http://a/v1", "model": "m"}):
        config = AskConfig(**values)
        assert AskConfig.model_validate(config.model_dump(mode="json")) == config
