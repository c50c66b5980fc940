"""Items from the task generators of ``reasoning-gym``, with wrong options for tasks that come without options."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from competency_gaps.benchmarks import generate
from competency_gaps.benchmarks.generate import pack, unpack
from competency_gaps.config import ReasoningGymSource
from competency_gaps.errors import MissingExtraError, UserError, nearest
from competency_gaps.items.item import Item, LeftOut, Reason
from competency_gaps.text import plural

Rule = Literal["answers", "similar_answers", "near_numbers"]

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_STEPS = (1, 2, 3, 4, 5, 9, 10, 11, 20, 90, 100)


class Options(NamedTuple):
    """The options of one item."""

    choices: tuple[str, ...]
    """All different."""
    answer: int
    """0-based index of the gold."""


def make_options(
    golds: Sequence[str],
    *,
    options: int,
    rule: Rule,
    seed: int,
    wrong: Callable[[int, str], bool],
) -> list[Options | Reason]:
    """Options for every task, or the reason why a task gets none.

    Parameters
    ----------
    golds
        The right answers; those of the other tasks are the pool of ``answers``.
    options
        Number of options, the gold included; at least 2.
    rule
        ``answers``: other tasks' answers, nearest in form (letters and digits taken together) and length
        first; ``similar_answers``: other tasks' answers, most alike letter by letter first;
        ``near_numbers``: numbers a few last-digit units away, written as the gold is; so many of them smaller that
        in every block of ``options`` successive tasks the gold takes each rank once (a gold that has too few numbers
        below it takes the highest rank that it can, as options are negative only where some gold is).
    wrong
        Whether a text is a wrong answer to the task of an index: equivalent answers must not be options.

    Returns
    -------
    list
        One entry per task. In every block of ``options`` successive tasks, the gold takes each position once.
    """
    pool = sorted(set(golds))
    positions = _positions(len(golds), options, random.Random(f"{seed} positions"))
    ranks = _positions(len(golds), options, random.Random(f"{seed} ranks"))
    negative = any(gold.strip().startswith("-") for gold in golds)
    result: list[Options | Reason] = []
    for index, gold in enumerate(golds):
        rng = random.Random(f"{seed} {index}")
        if rule == "near_numbers":
            candidates: Iterable[str] = _near_numbers(gold, ranks[index], negative, rng)
        elif rule == "similar_answers":
            candidates = _most_alike(gold, pool, rng)
        else:
            candidates = _nearest_in_form(gold, pool, rng)
        chosen = _pick(candidates, gold, options - 1, functools.partial(wrong, index))
        if len(chosen) < options - 1:
            result.append(_shortage(gold, rule, len(chosen), options))
            continue
        rng.shuffle(chosen)
        choices = [*chosen[: positions[index]], gold, *chosen[positions[index] :]]
        result.append(Options(tuple(choices), positions[index]))
    return result


def _positions(count: int, options: int, rng: random.Random) -> list[int]:
    """A position per task; each block of ``options`` tasks is a permutation, so that all are equally frequent."""
    positions: list[int] = []
    while len(positions) < count:
        positions += rng.sample(range(options), options)
    return positions[:count]


def _pick(candidates: Iterable[str], gold: str, count: int, wrong: Callable[[str], bool]) -> list[str]:
    chosen: list[str] = []
    taken = {gold.strip().casefold()}
    for text in candidates:
        if len(chosen) == count:
            break
        if text.strip().casefold() not in taken and wrong(text):
            chosen.append(text)
            taken.add(text.strip().casefold())
    return chosen


def _nearest_in_form(gold: str, pool: Sequence[str], rng: random.Random) -> list[str]:
    # Equally near answers are shuffled; otherwise the same few would be the distractors of every task.
    shuffled = rng.sample(pool, len(pool))
    form = _form(gold)
    return sorted(shuffled, key=lambda text: (_form(text) != form, abs(len(text) - len(gold))))


def _most_alike(gold: str, pool: Sequence[str], rng: random.Random) -> list[str]:
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(gold)

    def likeness(text: str) -> float:
        matcher.set_seq1(text)
        return -matcher.ratio()

    return sorted(rng.sample(pool, len(pool)), key=likeness)


def _form(text: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _near_numbers(gold: str, below: int, negative: bool, rng: random.Random) -> Iterator[str]:
    """First ``below`` smaller numbers, then larger ones; without the ranks, the gold would mostly be a middle one."""
    text = gold.strip()
    if not _NUMBER.fullmatch(text):
        return
    decimals = len(text.partition(".")[2])
    value = Decimal(text.replace(",", ""))
    unit = Decimal(1).scaleb(-decimals)
    separator = "," if "," in text else ""
    smaller, larger = (rng.sample(_STEPS, len(_STEPS)) for _ in range(2))
    steps = [-step for step in smaller if negative or value - step * unit >= 0][:below] + larger
    for step in [*steps, *range(max(_STEPS) + 1, max(_STEPS) + 1000)]:
        yield f"{value + step * unit:{separator}.{decimals}f}"


def _shortage(gold: str, rule: Rule, count: int, options: int) -> Reason:
    if rule == "near_numbers" and not _NUMBER.fullmatch(gold.strip()):
        return Reason(
            "no_plain_number",
            f"its answer {gold[:80]!r} is not a plain number, which the distractors 'near_numbers' need",
        )
    return Reason(
        "too_few_options",
        f"only {plural(count, 'wrong option')} could be found for {options} options under the distractors {rule!r}",
        (count, options),
    )


Entry = dict[str, Any]
"""What a family makes: ``{"question", "answer", "metadata"}``."""

_VERIFIER_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, SyntaxError, TypeError, ValueError)
"""Errors that the families' verifiers raise on answers in an unexpected form."""


def read_reasoning_gym(source: ReasoningGymSource) -> Iterator[Item | LeftOut]:
    """Generate a family's tasks as items.

    Open items are scored by the policy ``verifier``; with ``options``, items are scored by ``choice``.
    Tasks are distinct as ``source.distinct`` says: a repeat is replaced by the next task that the family draws. If it
    has too few, a left-out record says how many are missing. Tasks whose verifier refuses their own answer, and tasks
    without enough wrong options, are left out.

    Raises
    ------
    MissingExtraError
        If reasoning-gym is not installed.
    UserError
        If the family or a difficulty key is unknown, or the family refuses the difficulty.
    """
    dataset = make_dataset(source.family, {**source.difficulty}, seed=source.seed, size=source.size)
    tasks, left_out = _generate(source)
    make_items = _open_items if source.options is None else _choice_items
    return itertools.chain(left_out, make_items(dataset, tasks, source))


def make_dataset(family: str, difficulty: Mapping[str, Any], *, seed: int, size: int) -> Any:
    """A family's generator, which is also its verifier.

    Raises
    ------
    MissingExtraError, UserError
        As ``read_reasoning_gym``.
    """
    try:
        reasoning_gym = generate.import_reasoning_gym()
    except ModuleNotFoundError as error:
        raise _missing(error.name, family) from error
    families = reasoning_gym.factory.DATASETS
    if family not in families:
        raise UserError(
            f"reasoning_gym: there is no family {family!r}, but {len(families)} others.{nearest(family, families)}"
        )
    keys = [field.name for field in dataclasses.fields(families[family][1]) if field.name not in ("seed", "size")]
    for key in difficulty:
        if key not in keys:
            raise UserError(
                f"reasoning_gym: the family {family!r} has no difficulty {key!r}; "
                f"it has {', '.join(keys) or 'none'}.{nearest(key, keys)}"
            )
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
    purpose = f"reasoning_gym's family {family!r}"
    if package not in (None, "reasoning_gym"):
        return MissingExtraError(package, "reasoning-gym", purpose)
    return UserError(
        f"{purpose} needs the package 'reasoning-gym', which is not installed. Install it with: "
        f"pip install --no-deps reasoning-gym pyfiglet. The extra 'reasoning-gym' also brings what single families "
        f"need; some of that has to be compiled, so it needs a C compiler."
    )


def verifier_score(dataset: Any, answer: str, entry: Entry) -> float:
    """The family's own score of an answer, clipped to [0, 1]; 0 where the verifier fails on the answer's form.

    Raises
    ------
    MissingExtraError
        If the verifier uses a package that is not installed.
    """
    try:
        return min(1.0, max(0.0, float(dataset.score_answer(answer, entry))))
    except ModuleNotFoundError as error:
        raise _missing(error.name, _family(dataset)) from error
    except _VERIFIER_FAULTS:
        return 0.0


def _family(dataset: Any) -> str:
    """Name under which a generator's class is registered."""
    datasets = sys.modules["reasoning_gym"].factory.DATASETS if "reasoning_gym" in sys.modules else {}
    names = [name for name, (kind, _) in datasets.items() if kind is type(dataset)]
    return names[0] if names else type(dataset).__name__


def _generate(source: ReasoningGymSource) -> tuple[list[tuple[int, Entry]], list[LeftOut]]:
    """The source's tasks with their numbers, the same in every process (:mod:`~competency_gaps.benchmarks.generate`).

    Entries without a JSON form are left out, with the reason.
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
            f"reasoning_gym: the family {source.family!r} cannot make {source.size} tasks of the difficulty "
            f"{source.difficulty} ({answer['fault']}). Change the difficulty or the size."
        )
    made = answer["entries"]
    left_out = [
        LeftOut(
            f"{source.family}, task {i}", Reason("entry_not_stored", f"its entry cannot be stored: {task['left_out']}")
        )
        for i, task in made
        if "left_out" in task
    ]
    if len(made) < source.size:
        numbers = (len(made), source.size - len(made), source.size)
        text = (
            f"the family has only {plural(len(made), 'distinct task')} at this difficulty: {numbers[1]:,} of the "
            f"{source.size:,} asked for could not be made"
        )
        left_out.append(LeftOut(source.family, Reason("too_few_tasks", text, numbers)))
    return [(i, unpack(task["entry"])) for i, task in made if "entry" in task], left_out


def _open_items(dataset: Any, tasks: list[tuple[int, Entry]], source: ReasoningGymSource) -> Iterator[Item | LeftOut]:
    for index, entry in tasks:
        where = f"{source.family}, task {index}"
        verifier = {"family": source.family, "difficulty": pack(source.difficulty), "entry": pack(entry)}
        gold = entry["answer"]
        # Some families state no answer; only their verifier recognises one.
        if gold is not None and verifier_score(dataset, str(gold), unpack(verifier["entry"])) < 1:
            yield LeftOut(
                where, Reason("own_answer_refused", f"its verifier refuses its own answer {str(gold)[:80]!r}")
            )
            continue
        yield Item(
            id=str(index),
            prompt=entry["question"],
            answer=gold if gold is None else str(gold),
            policy="verifier",
            metadata={"verifier": verifier},
        )


def _choice_items(dataset: Any, tasks: list[tuple[int, Entry]], source: ReasoningGymSource) -> Iterator[Item | LeftOut]:
    assert source.options is not None
    entries = [entry for _, entry in tasks]
    if any(entry["answer"] is None for entry in entries):
        raise UserError(
            f"reasoning_gym: the family {source.family!r} states no answers, so it cannot have 'options'. "
            "Leave 'options' out: the items are then scored by the verifier."
        )
    golds = [str(entry["answer"]) for entry in entries]
    made = make_options(
        golds,
        options=source.options,
        rule=source.distractors,
        seed=source.seed,
        wrong=lambda task, text: verifier_score(dataset, text, entries[task]) < 1,
    )
    for (index, entry), options in zip(tasks, made, strict=True):
        if isinstance(options, Reason):
            yield LeftOut(f"{source.family}, task {index}", options)
        else:
            yield Item(
                id=str(index),
                prompt=entry["question"],
                choices=options.choices,
                answer=options.answer,
                policy="choice",
            )
