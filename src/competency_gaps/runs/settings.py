"""The settings that a run was made with."""

from __future__ import annotations

from competency_gaps.config import EvidenceConfig
from competency_gaps.runs.open import RunFolder


def evidence_config(run: RunFolder) -> EvidenceConfig:
    """The thresholds and strata of a run's evidence."""
    return EvidenceConfig(**{name: run.manifest["evidence"][name] for name in EvidenceConfig.model_fields})
