"""Configurations: unknown keys at every depth, overrides, paper mode."""

from __future__ import annotations

import copy

import pytest

from competency_gaps.items.config import RunConfig, as_dict, parse_config, read_yaml
from competency_gaps.util.errors import UserError

GOOD = {
    "model": {"name": "m"},
    "sae": {"folder": "s"},
    "benchmarks": [
        {"name": "a", "source": {"kind": "file", "path": "a.jsonl"}},
        {"name": "b", "source": {"kind": "reasoning_gym", "family": "chain_sum"}},
    ],
}


def parse(data, kind=RunConfig):
    return parse_config(kind, data, "here")


def fault(data) -> str:
    with pytest.raises(UserError) as error:
        parse(data)
    return str(error.value)


def changed(path: str, value):
    data = copy.deepcopy(GOOD)
    node = data
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("poolin", "poolin: there is no such key. Did you mean 'pooling'?"),
        ("benchmarks.1.scorre", "benchmarks.1.scorre: there is no such key. Did you mean 'scorer'?"),
        ("benchmarks.0.source.field", "benchmarks.0.source.field: there is no such key. Did you mean 'fields'?"),
        ("benchmarks.0.source.zzzzzz", "Known: fields, kind, path."),
    ],
)
def test_unknown_keys(path, says):
    assert says in fault(changed(path, 1))


def test_configuration_does_not_change_and_survives_a_round_trip():
    config = parse(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        config.span = "prompt"
    assert parse(as_dict(config)) == config


def test_paper_mode():
    config = parse({**GOOD, "paper": True})
    assert (config.span, config.pooling) == ("prompt+bos", "mean")
    other = parse({**GOOD, "paper": True, "metrics": {"dense_above": 0.2}, "pooling": "mean"})
    assert other.metrics.dense_above == 0.2
    assert parse(as_dict(config)) == config
    assert "normaliser" in fault({**GOOD, "metrics": {"normaliser": "none"}})
    assert parse(GOOD).span == "question"


@pytest.mark.parametrize(
    ("path", "value"),
    [("span", "question"), ("pooling", "max")],
)
def test_paper_mode_conflicts(path, value):
    text = fault({**changed(path, value), "paper": True})
    assert f"paper: true sets {path} to" in text and repr(value) in text
    parse({**changed(path, value), "paper": False})


@pytest.fixture
def file(tmp_path):
    import yaml

    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    return path


def test_overrides(file):
    data = read_yaml(
        file,
        [
            "span=prompt",
            "model.dtype=float32",
            "benchmarks.1.limit=50",
            "benchmarks.1.source.seed=7",
            "generation.temperature=0.5",
            "metrics.dense_above=0.2",
            "model.system_prompt=a=b c",
            "benchmarks.0.before=",
            "sae={folder: other}",
            "model.chat_template=off",  # which YAML takes for a boolean
        ],
    )
    data["benchmarks"][0]["before"] = data["benchmarks"][0]["before"] or ""
    config = parse(data)
    assert (config.span, config.model.dtype, config.model.chat_template) == ("prompt", "float32", "off")
    assert [b.limit for b in config.benchmarks] == [None, 50] and config.benchmarks[1].source.seed == 7
    assert config.generation.temperature == 0.5 and config.metrics.dense_above == 0.2
    assert config.model.system_prompt == "a=b c" and str(config.sae.folder) == "other"
    assert parse(read_yaml(file)) == parse(GOOD)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("span", "expected KEY=VALUE"),
        ("benchmarks.2.limit=3", "a number from 0 to 1, found '2'"),
        ("model.name.x=3", "'name' is a plain value"),
        ("span=2026-99-99", "not valid YAML"),
    ],
)
def test_wrong_overrides(file, override, says):
    with pytest.raises(UserError) as error:
        read_yaml(file, [override])
    assert says in str(error.value) and override in str(error.value)
