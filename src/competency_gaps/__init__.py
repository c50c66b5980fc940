"""Competency Gaps: where a language model is weak, and what its benchmarks fail to test.

import competency_gaps as cg

cg.find_saes("gpt2").saes            # public SAEs that fit a model; needs no torch
run = cg.run(config)                 # a RunConfig, a mapping, or the path of a YAML file
run = cg.open_run("runs/my-run")     # a finished run; needs no torch
run = cg.read_logs("out/")           # logs of evaluations alone: no model, no torch, seconds
run.answer()                         # where it is weak and strong: one list of slices
run.items, run.concepts, run.slices  # polars frames
run.concept_items(17), run.cas("gsm8k")
cg.measure_evidence(cas, scores, benchmarks)  # the same evidence on plain arrays
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from competency_gaps.api.dictionary import (
        import_labels,
        label_concepts,
        make_atlas,
        make_exemplars,
        measure_reference,
    )
    from competency_gaps.api.extend import log, scorer, slice_family, source
    from competency_gaps.api.make import compare, export, load_model, read_logs, run
    from competency_gaps.api.run import Run, open_run
    from competency_gaps.evidence import measure_evidence
    from competency_gaps.items.config import LLMConfig, RayWorkers
    from competency_gaps.items.item import Item, Reason
    from competency_gaps.items.scorer import Continuations, Generation, Output, Score, Scorer, Sentences
    from competency_gaps.sae.find import SaeEntry, SaeList, find_saes
    from competency_gaps.util.errors import CompetencyGapsError, UserError
    from competency_gaps.util.progress import Progress

__version__: str
__all__ = [
    "CompetencyGapsError",
    "Continuations",
    "Generation",
    "Item",
    "LLMConfig",
    "Output",
    "Progress",
    "RayWorkers",
    "Reason",
    "Run",
    "SaeEntry",
    "SaeList",
    "Score",
    "Scorer",
    "Sentences",
    "UserError",
    "compare",
    "export",
    "find_saes",
    "import_labels",
    "label_concepts",
    "load_model",
    "log",
    "make_atlas",
    "make_exemplars",
    "measure_evidence",
    "measure_reference",
    "open_run",
    "read_logs",
    "run",
    "scorer",
    "slice_family",
    "source",
]

_FROM = {
    "api.dictionary": "import_labels label_concepts make_atlas make_exemplars measure_reference",
    "api.extend": "log scorer slice_family source",
    "api.make": "compare export load_model read_logs run",
    "api.run": "Run open_run",
    "evidence": "measure_evidence",
    "items.config": "LLMConfig RayWorkers",
    "items.item": "Item Reason",
    "items.scorer": "Continuations Generation Output Scorer Score Sentences",
    "sae.find": "SaeEntry SaeList find_saes",
    "util.errors": "CompetencyGapsError UserError",
    "util.progress": "Progress",
}
"""Module -> the names above that it has. They are imported when they are first used: the command line needs few."""


def __getattr__(name: str) -> Any:
    import importlib
    import importlib.metadata

    if name == "__version__":
        return importlib.metadata.version("competency-gaps")
    for module, names in _FROM.items():
        if name in names.split():
            return getattr(importlib.import_module(f"competency_gaps.{module}"), name)
    raise AttributeError(f"module 'competency_gaps' has no attribute {name!r}")
