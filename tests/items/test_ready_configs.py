"""The ready configurations parse, and name SAEs, hooks, scorers and fields that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from competency_gaps.items.config import BenchmarkConfig, RunConfig, parse_config, read_yaml
from competency_gaps.items.records import check_fields
from competency_gaps.pipeline.load import make_scorer
from competency_gaps.sae.find import relation

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


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
def test_scorers_and_fields_exist(path):
    for benchmark in load(path).benchmarks:
        if benchmark.scorer is not None:
            make_scorer(benchmark.scorer, benchmark.options)
        for source in sources(benchmark):
            check_fields(getattr(source, "fields", {}))


@each_file
def test_sae_is_in_the_directory(path):
    config = load(path)
    if config.sae.release is None:
        return
    directory = pytest.importorskip("sae_lens.loading.pretrained_saes_directory").get_pretrained_saes_directory()
    assert config.sae.id in directory[config.sae.release].saes_map
    assert relation(directory[config.sae.release].model, [config.model.name])
