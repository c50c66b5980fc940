"""Whether another tool's name of a model may mean the model of this run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from competency_gaps.harnesses.lm_eval.log_files import pretrained_model
from competency_gaps.items.item import SourceReport

_SPELLING = re.compile(r"[^\w]|_")
_ARGUMENT = re.compile(r"(?:^|,)\s*(?:peft|delta|pretrained|model|path|engine)=([^,]+)")
_CACHE = re.compile(r"(?:^|.*[/\\])models--(.+?)(?:[/\\]snapshots[/\\][^/\\]+)?")
_META = re.compile(r"^meta(?=llama)")
_GENERIC = re.compile(
    r"(checkpoint|ckpt|step|epoch|iter|global[-_]?step)[-_]?\d*|\d+|v\d+|\d+(\.\d+)?[bm]|final|last|latest|best|main|"
    r"model|models|merged|weights|output|hf|default"
)
"""Last parts of a path that many models have."""


def same_model(theirs: str, ours: str) -> bool:
    """Compare two names by their last part, without case, punctuation and organisation.

    ``pretrained=Org/Name,dtype=float16``, ``hf/Org/Name``, ``Org__Name`` (a folder of lm-eval), ``/models/Name/``,
    ``embedded:name`` and a hub cache's folder (``models--Org--Name``) all are ``name``. Where the last part says
    little (``checkpoint-500``, ``final``, ``8b``), the part before it is compared too. Other names are other models: an
    ``-it`` or ``-Instruct`` at the end is no matter of spelling, nor is a tag (``name:8b``). [ours]
    """
    theirs, ours = _bare(theirs), _bare(ours)
    if _core(theirs) == _core(ours):
        return True
    # One of two is written as lm-eval's folders are; two such names are compared as they stand.
    unfolded = [name.replace("__", "/") if "/" not in name else name for name in (theirs, ours)]
    one_folder = (unfolded[0] == theirs) != (unfolded[1] == ours)
    return one_folder and _core(unfolded[0]) == _core(unfolded[1])


def transformers_model(reports: Iterable[SourceReport]) -> str | None:
    """Hub id or folder of the model of some logs, where all say that transformers can load it, and name the same.

    lm-eval says so with ``pretrained=NAME``, Inspect with ``hf/NAME``. None: no log names one, or several do.
    """
    names = {_transformers_model(report) for report in reports}
    return names.pop() if len(names) == 1 else None


def _transformers_model(report: SourceReport) -> str | None:
    if report.format == "lm_eval":
        return pretrained_model(report.files)
    if report.format == "inspect" and report.model:
        provider, _, name = report.model.partition("/")
        # Inspect calls a model of a folder hf/local, whatever the folder.
        return name if provider == "hf" and name not in ("", "local") else None
    return None


def _bare(name: str) -> str:
    match = _ARGUMENT.search(name)
    name = (match[1] if match else name).strip().removesuffix(":latest").rstrip("/\\")
    name = name.removeprefix("cgaps/").removeprefix("embedded:")  # the first is how Inspect knows this run's model
    cached = _CACHE.fullmatch(name)
    return cached[1].replace("--", "/") if cached else name.replace("\\", "/")


def _core(name: str) -> tuple[str, ...]:
    """The last part that says which model it is, and the parts behind it."""
    parts = [part for part in name.lower().removesuffix(".gguf").split("/") if part not in ("", ".", "..")]
    first = next((i for i in range(len(parts) - 1, -1, -1) if not _GENERIC.fullmatch(parts[i])), 0)
    return tuple(_META.sub("", _SPELLING.sub("", part)) for part in parts[first:])
