"""Damage copies of a finished run at random, and see whether whatever reads them says so.

    python validation/damage.py RUN [--dictionary DICT] [--minutes 5] [--seed 0]

Each trial copies the run (and the dictionary), damages one file or two (a flipped byte, an end cut off, a deleted file,
a block of zeros, two files exchanged), and asks every question below of the copy. Two outcomes are faults of the
package, and end in status 1:

- an exception that is no UserError or MachineError, or one that names no damaged file;
- an answer that differs from the undamaged run's, without an error or a warning ("silent").

Needs no model. RUN is not written to; take a small one, as every trial copies it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.dictionary.folder import open_dictionary
from competency_gaps.errors import MachineError, UserError
from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.scores import read_scores

TABLES = (
    *("items", "concepts", "concept_benchmarks", "benchmarks", "overlap", "findings"),
    *("themes", "theme_results", "theme_benchmarks"),
)
NOT_READ = ("report.html", "plan.json", "gate.json", "gate.parquet")
"""What nothing reads but the command that made the run."""
Question = Callable[[Path, Path], Any]
"""Asks something of a run folder and a dictionary's folder; its answer can be written as JSON."""


def tables(run: Path, _: Path) -> Any:
    """Every table as the Python API gives it."""
    opened = cg.open_run(run)
    held = {name: getattr(opened, name) for name in TABLES}
    held["tokens"] = opened.scan("tokens").collect()
    return {name: None if table is None else table.write_json() for name, table in held.items()}


def activations(run: Path, _: Path) -> Any:
    """All rows of activations, by item and by concept, and those of tokens."""
    opened = cg.open_run(run)
    names = [entry["name"] for entry in opened.manifest["benchmarks"]]
    rows = {name: _hash(*(part.tobytes() for part in _csr(opened.cas(name)))) for name in names}
    by_concept = opened.by_concept.columns(0, opened.width)
    by_item = [opened.item_rows.row(row) for row in range(opened.items.height)]
    tokens = opened.token_activations(1, range(opened.items.height))
    return [
        rows,
        _hash(*(part.tobytes() for part in by_concept)),
        [_hash(*(part.tobytes() for part in row)) for row in by_item],
        [None if own is None else _hash(*(part.tobytes() for part in own)) for own in tokens],
        opened.has_token_activations,
    ]


def concepts(run: Path, _: Path) -> Any:
    """Some concepts with their items."""
    opened = cg.open_run(run)
    chosen = range(0, opened.width, max(1, opened.width // 6))
    asked = [opened.concept_items(concept, order=order) for concept in chosen for order in ("best", "worst")]
    return [table.write_json() for table in asked]


def report(run: Path, _: Path) -> Any:
    """The report."""
    out = cg.open_run(run).report(run.parent / "out.html")
    return out.read_text(encoding="utf-8")


def commands(run: Path, _: Path) -> Any:
    """What commands print."""
    given = (["show"], ["show", "--json"], ["show", "--summary"], ["show", "--themes"], ["show", "--models"])
    given = (*given, ["concept", "1"], ["findings"])
    return [_typed(command, str(run), *rest) for command, *rest in given]


def models(run: Path, _: Path) -> Any:
    """Scores of other models, the run as one of them, and the run against itself."""
    opened = cg.open_run(run)
    added = read_scores(run)
    asked = [opened.models.write_json(), opened.item_models().write_json(), added.write_json()]
    for model in added["model"].unique(maintain_order=True).to_list()[:1]:
        other = opened.as_model(model)
        asked += [other.concepts.write_json(), other.findings.write_json(), other.items.write_json()]
    return [*asked, cg.compare(run, run).overall.write_json()]


def explorer(run: Path, dictionary: Path) -> Any:
    """Parts of the explorer, as they are and redacted, and its queries."""
    opened = open_runs([run], dictionary if dictionary.is_dir() else None)
    shown = []
    for one in opened:
        parts = one.now().parts
        names = [name for name in parts.names() if "/" not in name or name.split("/")[1].startswith(("0.", "3."))]
        shown += [(name, _hash(parts.read(name))) for name in names]
    shown += [one.ask("overview", {}) for one in opened]
    shown += [opened[0].ask("concept", {"concept": 1}), opened[0].ask("top_concepts", {"order": "weakest"})]
    return shown


def labels(run: Path, dictionary: Path) -> Any:
    """The dictionary's tables."""
    if not dictionary.is_dir():
        return None
    opened = open_dictionary(dictionary)
    held = [opened.labels(), opened.shown(), opened.logits, opened.similar]
    held += [opened.exemplars.table, opened.exemplars.windows] if opened.has_exemplars else []
    return [None if table is None else table.write_json() for table in held]


def score(run: Path, _: Path) -> Any:
    """Add another model."""
    opened = cg.open_run(run)
    given = opened.items.select("benchmark", id="item_id", fresh=pl.lit(0.5))
    opened.add_scores(given.filter(given["id"].is_first_distinct()))
    return [cg.open_run(run).models.write_json(), read_scores(run).write_json()]


def name(run: Path, dictionary: Path) -> Any:
    """Put the dictionary on the run."""
    if not dictionary.is_dir():
        return None
    named = cg.open_run(run).name(dictionary)
    return [named.concepts.write_json(), named.findings.write_json(), str(named.manifest["dictionary"])]


QUESTIONS: dict[str, Question] = {
    question.__name__: question
    for question in (tables, activations, concepts, report, commands, models, explorer, labels, score, name)
}
WRITING = ("score", "name")
"""Questions that change the run: of these a trial asks one, last."""


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
        return Outcome(_hash(held.encode()), warnings=said.texts)
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
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
) -> tuple[Counter[str], list[Fault]]:
    """Damage copies until it is enough; gives the counts of what came of it, and the faults.

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
    counts: Counter[str] = Counter()
    faults: list[Fault] = []
    whole = _whole(run, dictionary, work, questions)
    while go_on():
        places = _copied(run, dictionary, work)
        files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
        read = [file for file in files if file.name not in NOT_READ and "lm_eval" not in file.parts]
        how, damaged = damage(read, rng)
        counts["trials"] += 1
        writing = [title for title in whole if title in WRITING]
        left_out = rng.choice(writing) if len(writing) > 1 else None
        for title, before in whole.items():
            if title == left_out:
                continue
            outcome = ask(questions[title], *places)
            what = judged(outcome, before, damaged)
            if what is not None:
                faults.append(Fault(title, how, what))
            same = "same" if outcome.answer == before.answer else "warned"
            counts["faults" if what else "refused" if outcome.error else same] += 1
    return counts, faults


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
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(run, work / "run")
    if dictionary is not None:
        shutil.copytree(dictionary, work / "dictionary")
    return work / "run", work / "dictionary"


class _Warnings(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _typed(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def _csr(matrix: Any) -> tuple[Any, Any, Any]:
    return matrix.data, matrix.indices, matrix.indptr


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


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
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    for fault in faults:
        print(f"{fault.question}, {fault.damage}: {fault.what}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
