"""Damage copies of a finished run at random, and see whether whatever reads them says so.

    python validation/damage.py RUN [--dictionary DICT] [--minutes 5] [--seed 0]

Each trial copies the run (and the dictionary), damages one file or two (a flipped byte, an end cut off, a deleted file,
a block of zeros, two files exchanged), and asks every question in ``damage_questions.py`` of the copy. Two outcomes are
faults of the package, and end in status 1:

- an exception that is no UserError or MachineError, or one that names no damaged file;
- an answer that differs from the undamaged run's, without an error or a warning ("silent").

A table at the end counts the answers by kind of damage: refused, warned (another answer, with a warning that names the
file) or the same (the damage lies where the question does not read). Needs no model. RUN is not written to; take a
small one, as every trial copies it.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from damage_questions import QUESTIONS, Question, hash_of

from competency_gaps.errors import MachineError, UserError

NOT_READ = ("report.html", "plan.json", "gate.json", "gate.parquet")
"""What nothing reads but the command that made the run."""
COUNTED = ("trials", "refused", "warned", "same", "faults")
"""Columns of the table: trials, and what became of their questions."""


@dataclass
class Outcome:
    """What became of a question."""

    answer: str | None = None
    """A hash of the answer; None: there was an error."""
    error: BaseException | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """A damage that was not handled."""

    question: str
    damage: str
    what: str


def ask(question: Question, run: Path, dictionary: Path) -> Outcome:
    """Ask, and keep whatever happens."""
    said = _Warnings()
    logging.getLogger().addHandler(said)
    try:
        held = json.dumps(question(run, dictionary), sort_keys=True, default=str)
        return Outcome(hash_of(held.encode()), warnings=said.texts)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - which one it is, is what is looked at; polars' panics are none of Exception
        return Outcome(error=error, warnings=said.texts)
    finally:
        logging.getLogger().removeHandler(said)


def damage(files: Sequence[Path], rng: random.Random) -> tuple[str, list[Path]]:
    """Damage a file or two; says how, and which."""
    how = rng.choice(("flip", "flip", "truncate", "delete", "zero", "swap"))
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    place = rng.randrange(len(content)) if content else 0
    if how == "swap":
        other = rng.choice(files)
        file_bytes, other_bytes = file.read_bytes(), other.read_bytes()
        file.write_bytes(other_bytes)
        other.write_bytes(file_bytes)
        return f"swap {file.name} {other.name}", [file, other]
    if how == "delete":
        file.unlink()
    elif how == "truncate":
        file.write_bytes(content[:place])
    elif content:
        if how == "flip":
            content[place] ^= 1 << rng.randrange(8)
        else:
            content[place : place + 512] = bytes(len(content[place : place + 512]))
        file.write_bytes(content)
    return f"{how} {file.parent.name}/{file.name} at {place}", [file]


def judged(outcome: Outcome, whole: Outcome, damaged: Sequence[Path]) -> str | None:
    """What is wrong with an outcome; None: nothing."""
    error = outcome.error
    if error is not None and not isinstance(error, (UserError, MachineError)):
        return f"{type(error).__name__}: {str(error)[:300]}"
    said = " ".join([str(error or ""), *outcome.warnings])
    is_named = any(re.search(rf"(?<![\w.-]){re.escape(name)}(?!\w)", said) for file in damaged for name in _names(file))
    if error is not None and not is_named:
        return f"names no damaged file: {said[:300]}"
    if error is None and outcome.answer != whole.answer and not is_named:
        return "silent: another answer, and no error"
    return None


def _names(file: Path) -> set[str]:
    """How a message may name a file: a shard by its data or its checksum, arrays and outcomes by their folder."""
    names = {file.name}
    if {"activations", "responses"} & set(file.parts):
        names.add(file.stem)
    if file.parent.name == "by-concept" or file.parent.parent.name == "outcomes":
        names.add(file.parent.name)
    return names


def trials(
    run: Path,
    dictionary: Path | None,
    work: Path,
    questions: dict[str, Question],
    rng: random.Random,
    go_on: Callable[[], bool],
) -> tuple[dict[str, Counter[str]], list[Fault]]:
    """Damage copies until it is enough; gives what came of it by kind of damage, and the faults.

    Parameters
    ----------
    run
        A finished run.
    dictionary
        Of its SAE; None: there is none.
    work
        A folder for the copies.
    questions
        By name.
    go_on
        Whether to make another trial.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    faults: list[Fault] = []
    whole = _whole(run, dictionary, work, questions)
    while go_on():
        places = _copied(run, dictionary, work)
        files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
        read = [file for file in files if file.name not in NOT_READ and "lm_eval" not in file.parts]
        how, damaged = damage(read, rng)
        counted = counts[how.split()[0]]
        counted["trials"] += 1
        kept = work.with_name(f"{work.name}-damaged")
        _renew(kept, work)
        for title, before in whole.items():
            _renew(work, kept)  # some questions write: outcomes are made, or made again
            outcome = ask(questions[title], *places)
            what = judged(outcome, before, damaged)
            if what is not None:
                faults.append(Fault(title, how, what))
            same = "same" if outcome.answer == before.answer else "warned"
            counted["faults" if what else "refused" if outcome.error else same] += 1
    return counts, faults


def table(counts: Mapping[str, Counter[str]]) -> str:
    """Markdown: what came of the trials by kind of damage, and of all."""
    every = sum(counts.values(), Counter())
    rows = [f"| damage | {' | '.join(COUNTED)} |", f"| --- |{' --- |' * len(COUNTED)}"]
    for name, counted in (*sorted(counts.items()), ("all", every)):
        rows.append(f"| {name} | {' | '.join(f'{counted[what]:,}' for what in COUNTED)} |")
    return "\n".join(rows)


def _whole(run: Path, dictionary: Path | None, work: Path, questions: dict[str, Question]) -> dict[str, Outcome]:
    """Answers of the undamaged run; questions that it cannot answer, or not twice alike, are left out."""
    kept = {}
    for name, question in questions.items():
        first, second = (ask(question, *_copied(run, dictionary, work)) for _ in range(2))
        if first.error is not None or first.answer != second.answer:
            why = f"{type(first.error).__name__}: {first.error}" if first.error else "its answer differs every time"
            print(f"{name} is not asked: {why}", file=sys.stderr)
        else:
            kept[name] = first
    return kept


def _copied(run: Path, dictionary: Path | None, work: Path) -> tuple[Path, Path]:
    """Fresh copies, at the same place every time."""
    _renew(work / "run", run)
    if dictionary is not None:
        _renew(work / "dictionary", dictionary)
    return work / "run", work / "dictionary"


def _renew(folder: Path, other: Path) -> None:
    """Make a folder a copy of another."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(other, folder)


class _Warnings(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--dictionary", type=Path, help="a dictionary of the run's SAE, which is damaged as well")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    until = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as work:
        place, rng = Path(work) / "copy", random.Random(args.seed)
        counts, faults = trials(args.run, args.dictionary, place, QUESTIONS, rng, lambda: time.monotonic() < until)
    print(table(counts))
    for fault in faults:
        print(f"{fault.question}, {fault.damage}: {fault.what}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
