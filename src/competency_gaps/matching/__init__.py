"""Outside lists of weaknesses, and a benchmark's stated scope, matched to labelled concepts and themes."""

from competency_gaps.matching.candidates import MatchCandidates, candidates
from competency_gaps.matching.confirm import apply_verdicts, confirm_requests, pairs_of
from competency_gaps.matching.match import match
from competency_gaps.matching.null import Calibration
from competency_gaps.matching.scope import ScopeFindings, apply_scope_verdicts, confirm_scope_requests, scope
from competency_gaps.matching.shares import Share
from competency_gaps.matching.summary import Matching, WeakByChance
from competency_gaps.matching.taxonomy import Taxonomy, TaxonomyEntry, read_taxonomy

__all__ = [
    "Calibration",
    "MatchCandidates",
    "Matching",
    "ScopeFindings",
    "Share",
    "Taxonomy",
    "TaxonomyEntry",
    "WeakByChance",
    "apply_scope_verdicts",
    "apply_verdicts",
    "candidates",
    "confirm_requests",
    "confirm_scope_requests",
    "match",
    "pairs_of",
    "read_taxonomy",
    "scope",
]
