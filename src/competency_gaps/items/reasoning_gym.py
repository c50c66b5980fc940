"""Items from the task generators of ``reasoning-gym``, scored by their verifiers."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from competency_gaps.items import generate
from competency_gaps.items.config import ReasoningGymSource
from competency_gaps.items.generate import pack, unpack
from competency_gaps.items.item import Item, LeftOut, Reason
from competency_gaps.util.errors import MissingExtraError, UserError, no_such
from competency_gaps.util.text import plural

Entry = dict[str, Any]
"""One task of a family: ``{"question", "answer", "metadata"}``."""

_VERIFIER_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, SyntaxError, TypeError, ValueError)
"""Errors that the families' verifiers raise on answers in an unexpected form."""


def read_reasoning_gym(source: ReasoningGymSource) -> Iterator[Item | LeftOut]:
    """Return an iterator over a family's generated tasks as items, to be scored by ``verifier``.

    Tasks are distinct as ``source.distinct`` says: a repeat is replaced by the next task that the family draws. If it
    has too few, a left-out record says how many are missing. Tasks whose verifier refuses their own answer are left
    out.

    Raises
    ------
    MissingExtraError
        If reasoning-gym is not installed.
    UserError
        If the family or a difficulty key is unknown, or the family refuses the difficulty.
    """
    dataset = make_dataset(source.family, {**source.difficulty}, seed=source.seed, size=source.size)
    tasks, left_out = _generate(source)
    return itertools.chain(left_out, _items(dataset, tasks, source))


def make_dataset(family: str, difficulty: Mapping[str, Any], *, seed: int, size: int) -> Any:
    """Return a family's dataset: it generates the tasks and verifies their answers.

    Raises
    ------
    MissingExtraError, UserError
        As :func:`read_reasoning_gym`.
    """
    try:
        reasoning_gym = generate.import_reasoning_gym()
    except ModuleNotFoundError as error:
        raise _missing(error.name, family) from error
    families = reasoning_gym.factory.DATASETS
    if family not in families:
        raise no_such("reasoning_gym: there is no family", family, families)
    keys = [field.name for field in dataclasses.fields(families[family][1]) if field.name not in ("seed", "size")]
    for key in difficulty:
        if key not in keys:
            raise no_such(f"reasoning_gym: the family {family!r} has no difficulty", key, keys)
    try:
        return reasoning_gym.create_dataset(family, seed=seed, size=size, **difficulty)
    except ModuleNotFoundError as error:
        raise _missing(error.name, family) from error
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(
            f"reasoning_gym: the family {family!r} refuses the difficulty {dict(difficulty)} "
            f"({type(error).__name__}: {error}). Its keys are {', '.join(keys)}."
        ) from error


def _missing(package: str | None, family: str) -> UserError:
    """Return the error that says how to install a missing package."""
    purpose = f"reasoning_gym's family {family!r}"
    if package not in (None, "reasoning_gym"):
        return MissingExtraError(package, "reasoning-gym", purpose)
    return UserError(
        f"{purpose} needs the package 'reasoning-gym', which is not installed. Install it with: "
        f"pip install --no-deps reasoning-gym pyfiglet. The extra 'reasoning-gym' also installs what some families "
        f"need; it compiles code, so it needs a C compiler."
    )


def verifier_score(dataset: Any, answer: str, entry: Entry) -> float:
    """Return the family's own score of an answer, clipped to [0, 1]; 0 if the verifier fails on the answer's form.

    Raises
    ------
    MissingExtraError
        If the verifier uses a package that is not installed.
    """
    try:
        return min(1.0, max(0.0, float(dataset.score_answer(answer, entry))))
    except ModuleNotFoundError as error:
        raise _missing(error.name, type(dataset).__name__) from error
    except _VERIFIER_FAULTS:
        return 0.0


def _generate(source: ReasoningGymSource) -> tuple[list[tuple[int, Entry]], list[LeftOut]]:
    """Return the source's numbered tasks, the same in every process (see :mod:`~competency_gaps.items.generate`).

    Also returns what is left out: tasks that cannot be stored, and how many distinct tasks are missing.
    """
    wanted = source.model_dump(include={"family", "difficulty", "seed", "size", "distinct"})
    done = subprocess.run(
        [sys.executable, "-P", generate.__file__],
        input=json.dumps(wanted),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
    )
    answer = json.loads(done.stdout)
    if "absent" in answer:
        raise _missing(answer["absent"], source.family)
    if "fault" in answer:
        raise UserError(
            f"reasoning_gym: the family {source.family!r} cannot make {source.size} tasks of difficulty "
            f"{source.difficulty} ({answer['fault']}). Change the difficulty or the size."
        )
    entries = answer["entries"]
    left_out = [
        LeftOut(
            f"{source.family}, task {i}", Reason("entry_not_stored", f"its entry cannot be stored: {task['left_out']}")
        )
        for i, task in entries
        if "left_out" in task
    ]
    if len(entries) < source.size:
        numbers = (len(entries), source.size - len(entries), source.size)
        text = (
            f"the family has only {plural(len(entries), 'distinct task')} at this difficulty: {numbers[1]:,} of the "
            f"{source.size:,} asked for could not be made"
        )
        left_out.append(LeftOut(source.family, Reason("too_few_tasks", text, numbers)))
    return [(i, unpack(task["entry"])) for i, task in entries if "entry" in task], left_out


def _items(dataset: Any, tasks: list[tuple[int, Entry]], source: ReasoningGymSource) -> Iterator[Item | LeftOut]:
    """Yield the tasks as items; those whose verifier rejects their own answer are left out."""
    for index, entry in tasks:
        where = f"{source.family}, task {index}"
        verifier = {"family": source.family, "difficulty": pack(source.difficulty), "entry": pack(entry)}
        gold = entry["answer"]
        # Some families state no answer; only their verifier recognises one.
        if gold is not None and verifier_score(dataset, str(gold), unpack(verifier["entry"])) < 1:
            yield LeftOut(
                where, Reason("own_answer_refused", f"its verifier rejects its own answer {str(gold)[:80]!r}")
            )
            continue
        yield Item(
            id=str(index),
            prompt=entry["question"],
            answer=gold if gold is None else str(gold),
            scorer="verifier",
            metadata={"verifier": verifier},
        )
