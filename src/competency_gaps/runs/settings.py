"""The configuration that a run was made with."""

from __future__ import annotations

from competency_gaps.config import BenchmarkConfig, ReasoningGymSource, RunConfig, parse_config
from competency_gaps.runs.open import Run


def run_config(run: Run) -> RunConfig:
    """The configuration that a run was made with."""
    return parse_config(RunConfig, {**run.manifest["settings"], "out": None}, f"the settings of {run.path}")


def generated(config: RunConfig) -> dict[str, BenchmarkConfig]:
    """Benchmarks of which new items can be generated, by name: all their sources are reasoning-gym families."""
    return {
        one.name: one
        for one in config.benchmarks
        if all(isinstance(source, ReasoningGymSource) for source in sources_of(one))
    }


def sources_of(benchmark: BenchmarkConfig) -> list[object]:
    return [benchmark.source] if benchmark.source is not None else list(benchmark.sources)
