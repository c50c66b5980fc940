"""The configuration that a run was made with."""

from __future__ import annotations

from competency_gaps.config import BenchmarkConfig, EvidenceConfig, ReasoningGymSource, RunConfig, parse_config
from competency_gaps.runs.open import RunFolder


def run_config(run: RunFolder) -> RunConfig:
    """The configuration that a run was made with."""
    return parse_config(RunConfig, {**run.manifest["settings"], "out": None}, f"the settings of {run.path}")


def evidence_config(run: RunFolder) -> EvidenceConfig:
    """The thresholds and strata of a run's evidence."""
    return EvidenceConfig(**{name: run.manifest["evidence"][name] for name in EvidenceConfig.model_fields})


def generated(config: RunConfig) -> dict[str, BenchmarkConfig]:
    """Benchmarks for which new items can be generated, by name: all their sources are reasoning-gym families."""
    return {benchmark.name: benchmark for benchmark in config.benchmarks if is_generated(benchmark)}


def is_generated(benchmark: BenchmarkConfig) -> bool:
    """Whether new items of a benchmark can be generated."""
    return all(isinstance(source, ReasoningGymSource) for source in sources_of(benchmark))


def sources_of(benchmark: BenchmarkConfig) -> list[object]:
    return [benchmark.source] if benchmark.source is not None else list(benchmark.sources)
