"""The ready configurations parse, and name SAEs, hooks, policies and fields that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from competency_gaps.benchmarks.records import check_fields
from competency_gaps.config import BenchmarkConfig, RunConfig, parse_config, read_yaml
from competency_gaps.stages.load import make_policy

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
PAPER = {
    "llama-3.1-8b-instruct": ("meta-llama/Llama-3.1-8B-Instruct", 19),
    "gemma-2-2b-it": ("google/gemma-2-2b-it", 20),
    "deepseek-r1-distill-llama-8b": ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", 19),
}
PAPER_BENCHMARKS = {
    "agieval",
    "logicbench",
    "social_iqa",
    "winogrande",
    "gsm8k",
    "math",
    "natural_questions",
    "vectara",
    "bbq",
    "crows_pairs",
}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
each_paper_setup = pytest.mark.parametrize("name", sorted(PAPER))


def load(path: Path) -> RunConfig:
    return parse_config(RunConfig, read_yaml(path), str(path))


def sources(benchmark: BenchmarkConfig) -> list[Any]:
    return benchmark.sources or [benchmark.source]


@each_file
def test_parses_and_opens_with_its_command(path):
    load(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])
    assert f"cgaps run configs/{path.name}" in comment or f"configs/{path.name} --out" in comment


@each_file
def test_policies_and_fields_exist(path):
    for benchmark in load(path).benchmarks:
        if benchmark.policy is not None:
            make_policy(benchmark.policy, benchmark.options)
        for source in sources(benchmark):
            check_fields(getattr(source, "fields", {}))


@each_file
def test_sae_is_in_the_directory(path):
    config = load(path).sae
    if config.release is None:
        return
    directory = pytest.importorskip("sae_lens.loading.pretrained_saes_directory").get_pretrained_saes_directory()
    assert config.release in directory
    assert config.id in directory[config.release].saes_map


@each_paper_setup
def test_paper_setup(name):
    config = load(CONFIGS / f"{name}.yaml")
    assert config.model.name == PAPER[name][0]
    assert config.paper
    assert (config.span, config.pooling) == ("prompt+bos", "mean")
    assert {benchmark.name for benchmark in config.benchmarks} == PAPER_BENCHMARKS
    assert all(source.kind == "hub" for benchmark in config.benchmarks for source in sources(benchmark))
