"""Generate a family's tasks in a process of its own; it reads and writes JSON, and imports nothing of this package.

Some families draw from Python's global random numbers, and some walk over sets, whose order follows the process's hash
seed. A seed alone therefore does not fix their tasks, and a resumed run would meet other items. Here both are fixed:
this file is run as a program with PYTHONHASHSEED=0.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
from pathlib import Path
from typing import Any


def pack(value: Any) -> Any:
    """An entry as plain JSON that ``unpack`` turns back exactly: verifiers tell tuples from lists, and keys
    may be numbers.

    Raises
    ------
    TypeError
        If the entry holds something that has no JSON form.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return [pack(element) for element in value]
    if isinstance(value, (tuple, set, frozenset)):
        elements = value if isinstance(value, tuple) else sorted(value)
        return {"$kind": "tuple" if isinstance(value, tuple) else "set", "$of": [pack(element) for element in elements]}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): pack(element) for key, element in value.items()}
        return {"$kind": "dict", "$of": [[pack(key), pack(element)] for key, element in value.items()]}
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def unpack(value: Any) -> Any:
    """The inverse of ``pack``."""
    if isinstance(value, list):
        return [unpack(element) for element in value]
    if not isinstance(value, dict):
        return value
    if "$kind" not in value:
        return {key: unpack(element) for key, element in value.items()}
    elements = [unpack(element) for element in value["$of"]]
    if value["$kind"] == "dict":
        return dict(elements)
    return tuple(elements) if value["$kind"] == "tuple" else set(elements)


def main() -> None:
    """Read what is wanted from standard input, write the entries (or what went wrong) to standard output."""
    wanted = json.load(sys.stdin)
    # Some families print; standard output is for the answer alone.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        answer = _answer(**wanted)
    json.dump(answer, sys.stdout)


def _answer(family: str, difficulty: dict[str, Any], seed: int, size: int) -> dict[str, Any]:
    import numpy as np
    import reasoning_gym

    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        dataset = reasoning_gym.create_dataset(family, seed=seed, size=size, **difficulty)
        return {"entries": [_packed(dataset[index]) for index in range(size)]}
    except Exception as error:  # noqa: BLE001 - families raise what they like; the caller names the source
        return {"fault": f"{type(error).__name__}: {error}"}


def _packed(entry: Any) -> dict[str, Any]:
    try:
        return {"entry": pack(entry)}
    except TypeError as error:
        return {"left_out": f"its entry cannot be stored: {error}"}


if __name__ == "__main__":
    main()
