"""Competency Gaps: where a language model is weak, and what its benchmarks fail to test.

import competency_gaps as cg

cg.find_saes("gpt2").saes            # public SAEs that fit a model; needs no torch
run = cg.run(config)                 # a RunConfig, a mapping, or the path of a YAML file
run = cg.open_run("runs/my-run")     # a finished run; needs no torch
run.concepts, run.concept_benchmarks, run.items, run.cas("gsm8k")
"""

from competency_gaps.api import run
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.runs.open import Run, open_run
from competency_gaps.sae.find import SaeEntry, SaeList, find_saes

__version__ = "0.1.0"
__all__ = [
    "CompetencyGapsError",
    "Run",
    "SaeEntry",
    "SaeList",
    "UserError",
    "find_saes",
    "open_run",
    "run",
]
