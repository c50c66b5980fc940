"""``cgaps run`` and ``concepts``: what options set, and what is printed."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from typer.testing import CliRunner

import competency_gaps
from competency_gaps.cli.app import app
from competency_gaps.items.config import LLMConfig, SAEConfig
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.util.errors import UserError, install_command
from core_helpers import TEXT


@pytest.fixture
def config_file(tiny_config, tmp_path):
    path = tmp_path / "run.yaml"
    small = {**tiny_config, "benchmarks": [{**b, "sample": 8} for b in tiny_config["benchmarks"]]}
    small["sae"] = {**small["sae"], "force": True}  # so few tokens need not look as the SAE's own do
    path.write_text(yaml.safe_dump(small))
    return path


def test_run_prints_one_json_document(cli, config_file, tmp_path):
    folder = tmp_path / "run"
    settings = ("--set", "pooling=max", "--limit", "6")
    status, out, err = cli("run", str(config_file), "--out", str(folder), "--json", *settings)
    document = json.loads(out)
    assert status == 0 and document["run"] == str(folder) and document["report"].endswith("report.html")
    assert [b["items"] for b in document["benchmarks"]] == [6, 6] and "reading" in err
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["pooling"] == "max" and manifest["schema_version"] == SCHEMA_VERSION
    assert manifest["command"].startswith("cgaps run ") and document["gate"] == manifest["gate"]


def test_run_from_options_names_its_benchmarks(cli, tiny_config, tmp_path, benchmark_files):
    quiz, sums = str(benchmark_files / "quiz.jsonl"), f"mine={benchmark_files / 'sums.jsonl'}"
    places = ["--model", tiny_config["model"]["name"], "--sae", tiny_config["sae"]["folder"], "--benchmark", quiz]
    settings = ["--benchmark", sums, "--limit", "6", "--set", "model.dtype=float32", "--set", "sae.force=true"]
    status, out, err = cli("run", *places, *settings, "--out", str(tmp_path / "run"), "--quiet")
    assert status == 0 and "mean score" in out and "reading" not in err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [b["name"] for b in manifest["benchmarks"]] == ["quiz", "mine"]


def test_a_missing_extra_is_named(cli, config_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    status, out, err = cli("run", str(config_file), "--out", str(tmp_path / "run"))
    assert status == 2 and out == "" and install_command("run") in err


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """The configuration that ``cgaps run`` with some options would run, which it does not."""
    from competency_gaps.cli import run

    met = []
    monkeypatch.setattr(competency_gaps, "run", lambda config, out, **rest: met.append(config))
    monkeypatch.setattr(run, "print_run", lambda run, as_json: None)

    def configured_by(*options: str):
        CliRunner().invoke(app, ["run", *options, "-o", str(tmp_path / "out"), "-q"], catch_exceptions=False)
        return met.pop()

    return configured_by


def test_a_run_of_datasets_from_options(configured, tmp_path):
    sae = str(tmp_path)
    hub = ["-b", "hub:openai/gsm8k/main:train", "-b", "mine=hub:org/data", "-b", "items.jsonl"]
    config = configured("-m", "org/m", "-s", sae, *hub, "-n", "9", "--sample", "3", "--field", "prompt=question")
    sources = [benchmark.source for benchmark in config.benchmarks]
    assert [benchmark.name for benchmark in config.benchmarks] == ["gsm8k", "mine", "items"]
    assert {(b.limit, b.sample, b.source.fields["prompt"]) for b in config.benchmarks} == {(9, 3, "question")}
    assert [(s.path, s.name, s.split) for s in sources[:2]] == [
        ("openai/gsm8k", "main", "train"),
        ("org/data", None, "test"),
    ]


def test_without_model_and_sae_the_embedded_ones_only_read(configured, tmp_path):
    config = configured("-b", "items.jsonl")
    assert config.model.name.startswith("embedded:") and str(config.sae.folder).startswith("embedded:")
    assert not config.ask and SAEConfig(folder="embedded") == config.sae  # as in a file
    with pytest.raises(UserError, match="give --sae"):
        CliRunner().invoke(app, ["run", "-m", "m", "-b", "x", "-o", str(tmp_path)], catch_exceptions=False)


def test_llm_takes_the_place_of_the_configured_judge(configured, tmp_path):
    def judged(in_file: dict | None, *options: str) -> LLMConfig | None:
        source = {"kind": "file", "path": "q.jsonl"}
        data = {"model": {"name": "m"}, "sae": {"folder": "s"}, "benchmarks": [{"name": "q", "source": source}]}
        (tmp_path / "run.yaml").write_text(json.dumps(data if in_file is None else {**data, "judge": in_file}))
        return configured(str(tmp_path / "run.yaml"), *options).judge

    in_file, other = {"base_url": "http://a/v1", "model": "m", "timeout": 7}, {"base_url": "http://b/v1", "model": "n"}
    path = tmp_path / "llm.yaml"
    path.write_text("base_url: http://b/v1\nmodel: n\n")
    assert judged(None) is None and judged(in_file) == LLMConfig(**in_file)
    assert judged(in_file, "--llm", str(path)) == LLMConfig(**other)
    assert judged(in_file, "--set", "judge.timeout=9") == LLMConfig(**{**in_file, "timeout": 9})
    assert judged({"model": "m"}, "--set", "judge.retries=2") == LLMConfig(model="m", retries=2)


def test_a_bad_file_of_a_language_model_is_named(tmp_path):
    path = tmp_path / "llm.yaml"
    path.write_text("base_url: http://b/v1\nmodel: n\nconcurency: 3\n")
    done = CliRunner().invoke(app, ["concepts", "label", "d", "--step", "explain", "--llm", str(path)])
    assert isinstance(done.exception, UserError) and "llm.yaml" in str(done.exception)
    assert "Did you mean 'concurrency'?" in str(done.exception)


def test_reference_is_what_a_run_reads(cli, tiny_config, tmp_path):
    texts, reference = tmp_path / "texts.txt", str(tmp_path / "reference.parquet")
    texts.write_text("\n\n".join("so " * i + TEXT for i in range(8)))
    places = ["--model", tiny_config["model"]["name"], "--sae", tiny_config["sae"]["folder"], "--out", reference]
    status, out, _ = cli("concepts", "reference", str(texts), *places, "--json", "--quiet")
    assert status == 0 and json.loads(out)["tokens"] > 100 and 0 < json.loads(out)["l0"] < 64
    run = competency_gaps.run({**tiny_config, "reference": reference}, tmp_path / "run")
    assert run.manifest["reference"]["lift"] and run.concepts["lift"].null_count() < 64
    assert run.concepts["chance_seen"].null_count() == 0 and run.concepts["chance_seen"].is_between(0, 1).all()
    # What is not summed over plain text cannot be set beside it.
    other = competency_gaps.run({**tiny_config, "reference": reference, "pooling": "max"}, tmp_path / "other")
    assert not other.manifest["reference"]["lift"] and other.concepts["lift"].null_count() == 64
