"""The configuration that a run was made with."""

from __future__ import annotations

from competency_gaps.config import EvidenceConfig, RunConfig, parse_config
from competency_gaps.runs.open import RunFolder


def run_config(run: RunFolder) -> RunConfig:
    """The configuration that a run was made with."""
    return parse_config(RunConfig, {**run.manifest["settings"], "out": None}, f"the settings of {run.path}")


def evidence_config(run: RunFolder) -> EvidenceConfig:
    """The thresholds and strata of a run's evidence."""
    return EvidenceConfig(**{name: run.manifest["evidence"][name] for name in EvidenceConfig.model_fields})
