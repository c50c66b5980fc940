"""Whether another tool's name of a model may mean the model of this run."""

from __future__ import annotations

import re

_SPELLING = re.compile(r"[^a-z0-9]")
_ARGUMENT = re.compile(r"(?:^|,)\s*(?:peft|delta|pretrained|model|path|engine)=([^,]+)")
_SNAPSHOT = re.compile(r"models--([^/]+)/snapshots/[^/]+/?$")


def same_model(theirs: str, ours: str) -> bool:
    """Compare two names by their last part, without case, punctuation and organisation.

    ``pretrained=Org/Name,dtype=float16``, ``hf/Org/Name``, ``Org__Name`` (a folder of lm-eval), ``/models/Name/``,
    ``embedded:name`` and a hub cache's snapshot folder all are ``name``. Other names are other models: an ``-it`` or
    ``-Instruct`` at the end is no matter of spelling. [ours]
    """
    return _core(theirs) == _core(ours)


def _core(name: str) -> str:
    found = _ARGUMENT.search(name)
    name = (found[1] if found else name).strip().rstrip("/\\")
    snapshot = _SNAPSHOT.search(name)
    name = snapshot[1] if snapshot else name
    for sign in ("/", "\\", "__", "--", ":"):
        name = name.rsplit(sign, 1)[-1]
    name = name.lower().removesuffix(".gguf")
    return _SPELLING.sub("", name).removeprefix("meta")
