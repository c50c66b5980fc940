"""Matchings and findings on scopes as JSON documents, printed by ``--json`` and kept in the run folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from competency_gaps.matching.scope import ScopeFindings
    from competency_gaps.matching.shares import Share
    from competency_gaps.matching.summary import Matching


def matching_document(matching: Matching) -> dict[str, Any]:
    """A matching as one JSON document, all pairs included."""
    shares = ("recovery", "recovery_weak", "coverage", "coverage_of_matched", "unnamed_share")
    return {
        **{name: _share(getattr(matching, name)) for name in shares},
        "weak_by_chance": asdict(matching.weak_by_chance),
        "calibration": asdict(matching.calibration),
        "theme_calibration": asdict(matching.theme_calibration) if matching.theme_calibration else None,
        "verdicts": matching.verdicts,
        "entries": matching.entries.to_dicts(),
        "pairs": matching.pairs.to_dicts(),
        "dropped": matching.dropped.to_dicts(),
        "themes": matching.themes.to_dicts(),
        "unnamed": matching.unnamed.to_dicts(),
    }


def scope_document(findings: ScopeFindings, limit: int) -> dict[str, Any]:
    """Findings on a scope as one JSON document, with ``limit`` lacking concepts."""
    return {
        "benchmark": findings.benchmark,
        "clauses": findings.clauses,
        **{name: _share(getattr(findings, name)) for name in ("covered", "under", "missing", "null_rate")},
        "bound": findings.bound,
        "unlabelled": findings.unlabelled,
        "labels": findings.labels,
        "alpha": findings.alpha,
        "verdicts": findings.verdicts,
        "rows": findings.lacking.head(limit).to_dicts(),
    }


def _share(share: Share) -> dict[str, Any]:
    return {"count": share.count, "of": share.of, "share": share.value, "low": share.low, "high": share.high}
