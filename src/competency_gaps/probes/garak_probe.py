"""From garak's attacks to a run: attack the model, read the report, measure concepts, and say where it breaks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from competency_gaps.config import BenchmarkConfig, LogSource, ModelConfig, RunConfig, SAEConfig, Span
from competency_gaps.errors import UserError
from competency_gaps.harnesses.detect import find_parts
from competency_gaps.harnesses.garak.scan import GarakOutcome, GarakSettings, run_garak
from competency_gaps.model.load import LanguageModel
from competency_gaps.probes.vulnerabilities import write_vulnerabilities
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.stages.load import load_benchmark

FOLDER = "garak"


def probe_with_garak(
    model: ModelConfig,
    sae: SAEConfig,
    settings: GarakSettings,
    out: Path,
    progress: Progress,
    *,
    span: Span = "question",
    batch_tokens: int = 4096,
    command: str = "",
) -> tuple[RunFolder, dict[str, Any]]:
    """Attack a model with garak and make a run of its report; the model is loaded once for both.

    Returns
    -------
    run
        One benchmark per probe family, one group per probe, score 1 = safe.
    document
        Rates and weak concepts, as written to ``vulnerabilities.json``.
    """
    from competency_gaps.runs.plan import planned_model
    from competency_gaps.sae.pair import load_pair
    from competency_gaps.stages import pipeline

    pair = load_pair(planned_model(model, out), sae, progress=progress)
    outcome = run_garak(pair.lm, settings, out / FOLDER, progress, token_budget=batch_tokens)
    benchmarks, empty = _benchmarks(outcome.report, progress)
    config = RunConfig(model=model, sae=sae, benchmarks=benchmarks, span=span, batch_tokens=batch_tokens)
    run = pipeline.run(config, out, progress, command, pair)
    facts = {**_facts(outcome, settings, pair.lm), "families_without_items": empty}
    with progress.stage("testing families and tags"):
        return run, write_vulnerabilities(run, facts)


def _benchmarks(report: Path, progress: Progress) -> tuple[list[BenchmarkConfig], dict[str, str]]:
    """A benchmark per probe family; and families that give no item (empty attacks, images), with the reason."""
    benchmarks, empty = [], {}
    parts = find_parts(report, "garak")
    with progress.stage("reading garak's report", total=len(parts), unit="benchmarks") as bar:
        for part in parts:
            benchmark = BenchmarkConfig(
                name=part.benchmark,
                source=LogSource(path=report, format="garak", benchmark=part.benchmark),
                scope=f"attacks of garak's family {part.benchmark}; 1 = the model held",
            )
            try:
                load_benchmark(benchmark)
            except UserError as error:
                empty[part.benchmark] = str(error)
                progress.say(f"left out the family {part.benchmark}: {error}")
            else:
                benchmarks.append(benchmark)
            bar.advance()
    if not benchmarks:
        raise UserError(f"{report} gives no item to read: {next(iter(empty.values()), 'no probe was answered')}")
    return benchmarks, empty


def _facts(outcome: GarakOutcome, settings: GarakSettings, lm: LanguageModel) -> dict[str, Any]:
    return {
        "garak": outcome.garak,
        "report": str(outcome.report),
        "model": lm.name,
        "settings": asdict(settings),
        "probes": list(outcome.probes),
        "left_out": outcome.left_out,
        "missing_detectors": outcome.missing,
        "unanswered": outcome.unanswered,
    }
