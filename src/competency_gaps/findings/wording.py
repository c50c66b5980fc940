"""Findings worded by a language model that reads their items: its words are stored with their source, never numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl
import pydantic

from competency_gaps.config import AskConfig
from competency_gaps.dictionary.labelling.labeller import Taken, explainer_of
from competency_gaps.dictionary.labels import clean_label
from competency_gaps.endpoint import Answer, Asking, Failure, Request, parse
from competency_gaps.errors import UserError
from competency_gaps.findings.sentences import FILE, with_words
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import write_table
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.schemas import FINDINGS
from competency_gaps.text import shorten, visible

READ = 8
"""Failing items, and as many passing ones, that the model reads at most."""
TEXT_LIMIT = 600
"""Characters of a prompt that it reads; of answers and responses a third."""
LABELS = 5
ANSWER_TOKENS = 120
LIMIT = 160
"""Characters of a wording, at most."""
_WORDED = ("wording", "wording_source", "sentence")
"""Columns that a wording changes."""


class Wording(pydantic.BaseModel):
    """A model's answer."""

    model_config = pydantic.ConfigDict(extra="forbid")
    sentence: str | None
    """None: it abstains."""


def word_findings(
    run: RunFolder, ask: AskConfig, progress: Progress, chosen: Sequence[int] | None = None
) -> Taken | None:
    """Have a language model word findings, and store what it says in ``findings.parquet``.

    Parameters
    ----------
    ask
        How the model is asked.
    chosen
        Numbers of findings; None: all.

    Returns
    -------
    Taken, or None if the requests were only written down

    Raises
    ------
    UserError
        If there is nothing to word, or no such finding.
    """
    asking, requests = Asking.of(ask), wording_requests(run, chosen)
    if not requests:
        raise UserError(f"{run.path} has no finding: there is nothing to word.")
    answers = asking.answers(
        list(requests.values()),
        run.path / "answers",
        progress,
        lambda answer: not isinstance(read_wording(answer), Failure),
    )
    return None if answers is None else take_wordings(run, requests, answers, asking.answerer)


def wording_requests(run: RunFolder, chosen: Sequence[int] | None = None) -> dict[int, Request]:
    """A request for each finding, by its number."""
    known = run.findings["finding"].to_list()
    for number in chosen or ():
        if number not in known:
            raise UserError(f"finding {number} does not exist: {run.path} has {len(known)}, numbered from 0.")
    requests = {}
    for row in run.findings.iter_rows(named=True):
        if chosen is None or row["finding"] in chosen:
            text = json.dumps(_content(run, row), ensure_ascii=False)
            digest = hashlib.sha256((_prompt() + text).encode()).hexdigest()[:8]
            request = Request(
                f"finding-{row['verdict']}-{row['leader']}-{digest}",
                _prompt(),
                text,
                Wording.model_json_schema(),
                "wording",
                ANSWER_TOKENS,
            )
            requests[int(row["finding"])] = request
    return requests


def _content(run: RunFolder, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the model reads of a finding: the items that are shown, then its other items, the heaviest first."""
    own = run.items[row["item_rows"]].with_columns(row=pl.Series(row["item_rows"], dtype=pl.Int32))
    own = own.unique("cluster", keep="first", maintain_order=True)
    failed = [*row["failing"], *own.filter(pl.col("score") < 0.5)["row"].to_list()]
    passed = [*row["passing"], *own.filter(pl.col("score") >= 0.5)["row"].to_list()]
    labels = run.concepts["label"].gather(list(row["concepts"])).drop_nulls().head(LABELS).to_list()
    return {
        "benchmarks": [_text(benchmark["benchmark"], 80) for benchmark in row["benchmarks"][:3]],
        "verdict": "does worse on the group" if row["verdict"] == "weak" else "does better on the group",
        "property": None if row["feature_words"] is None else _text(row["feature_words"], 200),
        "failed": [_item(run, place) for place in list(dict.fromkeys(failed))[:READ]],
        "passed": [_item(run, place) for place in list(dict.fromkeys(passed))[:READ]],
        "labels": [_text(label, 160) for label in labels],
    }


def _item(run: RunFolder, row: int) -> dict[str, str | None]:
    item = run.items.row(row, named=True)
    return {
        "item": _text(item["prompt"], TEXT_LIMIT),
        "expected": _text(item["answer"], TEXT_LIMIT // 3),
        "response": _text(item["response"], TEXT_LIMIT // 3),
    }


def _text(text: str | None, limit: int) -> str | None:
    return None if text is None else shorten(visible(text), limit)


@cache
def _prompt() -> str:
    return files("competency_gaps.findings").joinpath("prompts/wording.txt").read_text(encoding="utf-8")


def read_wording(answer: Answer) -> str | Failure | None:
    """Read an answer: one visible line without a number; None: it abstains."""
    read = parse(answer, Wording)
    if isinstance(read, Failure) or read.sentence is None:
        return read if isinstance(read, Failure) else None
    if any(character.isnumeric() for character in read.sentence):
        return Failure("it has a number in it, and numbers are not taken from a model")
    if len(read.sentence) > LIMIT:
        return Failure(f"it has {len(read.sentence):,} characters; at most {LIMIT} are taken")
    return clean_label(read.sentence)


def take_wordings(
    run: RunFolder, requests: Mapping[int, Request], answers: Mapping[str, Answer], answerer: str | None
) -> Taken:
    """Store wordings; a finding whose answer abstains or cannot be used keeps the wording that it has.

    Wordings that another command stored since the run was opened stay, unless they are of the same finding.

    Parameters
    ----------
    answerer
        Name of the answering model; None: the model that each answer names.

    Raises
    ------
    UserError
        If an answer's model is not known, or the findings were made anew since the run was opened; nothing is stored.
    """
    taken, new = Taken(), {}
    for number, request in requests.items():
        answer = answers.get(request.id)
        if answer is None:
            continue
        read = read_wording(answer)
        if isinstance(read, Failure):
            taken.failed.append((number, read.reason))
        elif read is None:
            taken.abstained += 1
        else:
            new[number] = {"wording": read, "wording_source": visible(explainer_of(answer, answerer))}
    if new:
        with hold(run.path):
            now = open_folder(run.path).findings
            if not now.drop(_WORDED).equals(run.findings.drop(_WORDED)):
                raise UserError(
                    f"the findings of {run.path} were made anew while they were worded: run the same command again."
                )
            rows = [row | new.get(row["finding"], {}) for row in now.select(*FINDINGS).to_dicts()]
            worded = with_words(pl.DataFrame(rows, schema=FINDINGS))
            write_table(run.path, FILE, worded.write_parquet, run.manifest)
    taken.stored = len(new)
    return taken
