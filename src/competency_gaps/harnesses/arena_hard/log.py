"""Judgements of Arena-Hard-Auto: ``data/BENCH/model_judgment/JUDGE/MODEL.jsonl``, new form (uid) and old (question_id).

The score of an item is what the model gets in its two games against the baseline, as ``judging.verdicts`` counts them.
The question and the model's answer come from ``question.jsonl`` and ``model_answer/MODEL.jsonl`` beside the
judgements, or else out of what the judge was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.harnesses.arena_hard.files import (
    ArenaAnswer,
    ArenaQuestion,
    asked_of_judge,
    item_id,
    label_of,
    read_answers,
    read_questions,
)
from competency_gaps.harnesses.shared.lines import files_under, first_object, log_lines
from competency_gaps.harnesses.shared.options import refuse_options
from competency_gaps.harnesses.shared.part import NONE, LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item, LeftOut, Message
from competency_gaps.items.remark import Remark
from competency_gaps.judging.verdicts import VERDICTS, results_of_games, score_of_games

METRIC = "verdicts of two games"
FROM_FILE = "question.jsonl"
FROM_JUDGE = "question in what the judge was asked"


def find(path: Path) -> list[LogPart]:
    """One part per benchmark, judge and judged model."""
    judgments: list[tuple[str, str, str, Path]] = []
    for file in files_under(path, "*.jsonl"):
        judge = file.resolve().parent
        in_place = judge.parent.name == "model_judgment"
        if not in_place and file != path and file.parent != path:
            continue
        head = first_object(file)
        if head is None or not isinstance(head.get("games"), list) or item_id(head) is None:
            continue
        bench = judge.parent.parent.name if in_place else "arena-hard"
        judgments.append((bench, str(head.get("judge") or judge.name), str(head.get("model") or file.stem), file))
    judges: dict[str, set[str]] = {}
    for bench, judge_name, _, _ in judgments:
        judges.setdefault(bench, set()).add(judge_name)
    return [
        LogPart(
            format="arena_hard",
            benchmark=bench if len(judges[bench]) == 1 else f"{bench}:{judge_name.rsplit('/', 1)[-1]}",
            files=(file,),
            model=model,
            details={"judge": judge_name},
        )
        for bench, judge_name, model, file in judgments
    ]


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """The judged items of one model, and the report.

    Raises
    ------
    UserError
        If ``metric`` (other than ``none``), ``filter`` or ``scorer`` is given: an item has one score.
    """
    # Another judge's judgements are a benchmark of their own.
    refuse_options(source, part, *(["filter", "scorer"] if source.metric == NONE else ["metric", "filter", "scorer"]))
    file = part.files[0]
    bench = file.resolve().parent.parent.parent
    beside = [bench / "question.jsonl", bench / "model_answer" / file.name]
    reading = _Reading(
        Tally(part, metric=NONE if source.metric == NONE else METRIC, scorer=str(part.details["judge"])),
        read_questions(beside[0]) if beside[0].is_file() else {},
        read_answers(beside[1]) if beside[1].is_file() else {},
    )
    for line in log_lines(file):
        reading.tally.records += 1
        entry = reading.item(line.value) if line.fault is None else line.fault
        yield reading.tally.drop(line.where, entry) if isinstance(entry, Remark) else entry
    yield reading.report()


@dataclass
class _Reading:
    """What is counted while judgements are read."""

    tally: Tally
    questions: dict[str, ArenaQuestion]
    answers: dict[str, ArenaAnswer]
    seen: set[str] = field(default_factory=set)
    baselines: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    unjudged: int = 0
    """Games without a usable verdict."""
    more_games: int = 0
    """Items with more than the two games of which a score is made."""
    first_place: list[float] = field(default_factory=list)
    """What the answer in the first place gets on average, per item with both games."""
    won: float = 0.0
    counted: int = 0
    """Verdicts of items with both games, as often as they count, and what of it the model won."""

    def item(self, entry: dict[str, Any]) -> Item | LeftOut | Remark:
        """A judgement as an item, or why it is none."""
        name = item_id(entry)
        games = entry.get("games")
        if name is None or not isinstance(games, list):
            return Remark("no_judgement")
        if name in self.seen:
            return Remark("judgement_again")
        more, games = len(games) > 2, [*games, None, None][:2]
        asked = asked_of_judge(games)
        question, way = self.questions.get(name), FROM_FILE
        if question is None and asked is not None:
            question, way = ArenaQuestion(asked.question, None, None), FROM_JUDGE
        if question is None:
            return Remark("no_question")
        if question.text is None or not question.text.strip():
            return question.fault or Remark("question_empty")
        self.seen.add(name)
        self.more_games += more
        labels = tuple(label_of(game) for game in games)
        self._count(labels)
        answer = self.answers.get(name)
        if answer is None:
            answer = ArenaAnswer(asked.answer if asked else None, None)
        baseline = entry.get("baseline")
        if baseline:
            self.baselines[str(baseline)] += 1
        messages: tuple[Message, ...] = ({"role": "user", "content": question.text},)
        if answer.system:
            messages = ({"role": "system", "content": answer.system}, *messages)
        item = Item(
            id=name,
            prompt=question.text,
            messages=messages,
            group=str(entry.get("category") or question.category or "") or None,
            policy="imported",
            score=score_of_games(*labels),
            response=answer.text,
            identity={
                "tool": "arena_hard",
                "uid": name,
                "judge": entry.get("judge") or self.tally.scorer,
                "model": entry.get("model") or self.tally.part.model,
                "baseline": baseline,
                "games": list(labels),
            },
        )
        if item.score is None:
            self.tally.unscored_because(Remark("neither_game"))
        return self.tally.item(item, way)

    def _count(self, labels: tuple[str | None, ...]) -> None:
        known = [label for label in labels if label is not None]
        self.labels.update(known)
        self.unjudged += len(labels) - len(known)
        if len(known) == len(labels):
            self.first_place.append(sum(VERDICTS[label].first for label in known) / len(known))
            for game in results_of_games(labels):
                self.won += sum(verdict.first * verdict.times for verdict in game)
                self.counted += sum(verdict.times for verdict in game)

    def report(self) -> LogEntry:
        """The report, with ties, position bias and Arena-Hard's own figure."""
        tally, games = self.tally, sum(self.labels.values())
        judge = str(tally.scorer)
        if self.baselines:
            tally.warn("judged_against", quotes=(judge, ", ".join(self.baselines)))
        else:
            tally.warn("judged_by", quotes=(judge,))
        if self.unjudged:
            tally.warn("one_game", self.unjudged)
        if self.more_games:
            tally.warn("more_games", self.more_games)
        if games:
            tally.warn("ties", self.labels["A=B"] / games, games)
        if self.first_place:
            tally.warn("position_bias", sum(self.first_place) / len(self.first_place), len(self.first_place))
        if self.counted:
            tally.warn("arena_figure", self.won / self.counted)
        missing = sum(name not in self.answers for name in self.seen) if self.answers else 0
        if missing:
            tally.warn("no_model_answer", missing)
        return tally.report()


LOG = Reader("Arena-Hard: model_judgment/JUDGE/MODEL.jsonl", find, read)
