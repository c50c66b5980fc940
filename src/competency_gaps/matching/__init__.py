"""Outside lists of weaknesses beside a run's concepts and themes.

Two questions, each with a module that tells how it is answered: ``match_run`` (a list) and ``match_tags`` (tags of the
run's own items). Each reads what is given (``taxonomy``, ``tags``), compares it with the run's labels (``match``,
beside the ``null``) or with what examples excite
(``by_examples``, beside ``by_chance``), and keeps the outcome (``kept``). What was kept is read by ``kept_lists`` and
``kept``; it is shown in the words of ``outcomes``, in the terminal by ``lines`` and ``example_lines``.
"""

from competency_gaps.matching.candidates import MatchCandidates, candidates
from competency_gaps.matching.confirm import apply_verdicts, confirm_requests, pairs_of
from competency_gaps.matching.match import match
from competency_gaps.matching.null import Calibration
from competency_gaps.matching.shares import Share
from competency_gaps.matching.summary import Matching
from competency_gaps.matching.taxonomy import Taxonomy, TaxonomyEntry, read_taxonomy

__all__ = [
    "Calibration",
    "MatchCandidates",
    "Matching",
    "Share",
    "Taxonomy",
    "TaxonomyEntry",
    "apply_verdicts",
    "candidates",
    "confirm_requests",
    "match",
    "pairs_of",
    "read_taxonomy",
]
