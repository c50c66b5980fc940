"""Competency Gaps: where a language model is weak, and what its benchmarks fail to test.

import competency_gaps as cg

run = cg.run(config)                 # a RunConfig, a mapping, or the path of a YAML file
run = cg.open_run("runs/my-run")     # a finished run; needs no torch
run.concepts, run.concept_benchmarks, run.items, run.cas("gsm8k")
"""

from competency_gaps.api import run
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.runs.open import Run, open_run

__version__ = "0.1.0"
__all__ = ["CompetencyGapsError", "Run", "UserError", "open_run", "run"]
