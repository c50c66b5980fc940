"""Does it hold up? Tests of a finished run as a whole: subsampling, ablation, held-out items, another run."""

from competency_gaps.robustness.assess import assess
