"""Judgements of Arena-Hard-Auto: ``data/BENCH/model_judgment/JUDGE/MODEL.jsonl``, new form (uid) and old (question_id).

The score of an item is the model's result in its two games against the baseline, as
``scoring.arena.score_of_games`` counts them. The question comes from ``question.jsonl`` beside ``model_judgment``, the
model's answer from ``model_answer/MODEL.jsonl`` there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, LeftOut, Message, Reason
from competency_gaps.logs.prompt import LoggedPrompt
from competency_gaps.logs.reader import NONE, LogEntry, LogPart, Reader, Tally, log_lines
from competency_gaps.scoring.arena import Games, arena_figures, canonical, model_answer, score_of_games
from competency_gaps.util.jsonl import files_under, first_object, mapping, sequence, text_or_none
from competency_gaps.util.text import plural

METRIC = "verdicts of two games"
FROM_FILE = "question.jsonl"
_LABEL = re.compile(r"\[\[([AB=<>]{3,4})\]\]")


def find(path: Path) -> list[LogPart]:
    """Return one part per benchmark, judge and judged model."""
    judgments: list[tuple[str, str, str, Path]] = []
    for file in files_under(path, "*.jsonl"):
        judge = file.resolve().parent
        in_place = judge.parent.name == "model_judgment"
        if not in_place and file != path and file.parent != path:
            continue
        head = first_object(file)
        if not isinstance(head.get("games"), list) or _item_id(head) is None:
            continue
        bench = judge.parent.parent.name if in_place else "arena-hard"
        judgments.append((bench, str(head.get("judge") or judge.name), str(head.get("model") or file.stem), file))
    judges: dict[str, set[str]] = {}
    for bench, judge_name, _, _ in judgments:
        judges.setdefault(bench, set()).add(judge_name)
    parts = []
    for bench, judge_name, model, file in judgments:
        name = bench if len(judges[bench]) == 1 else f"{bench}:{judge_name.rsplit('/', 1)[-1]}"
        parts.append(LogPart("arena_hard", name, (file,), model, details={"judge": judge_name}))
    return parts


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the judged items of one model, then the report.

    Another judge's judgements are another benchmark, and an item has one score, so there is no metric to choose.
    """
    file = part.files[0]
    bench = file.resolve().parent.parent.parent
    metric = NONE if source.metric == NONE else METRIC
    reader = _JudgementReader(
        Tally(part, metric=metric, scorer=str(part.details["judge"])),
        _by_id(bench / "question.jsonl"),
        _by_id(bench / "model_answer" / file.name),
    )
    for line in log_lines(file):
        reader.tally.records += 1
        entry = reader.item(line.value) if line.fault is None else line.fault
        yield reader.tally.drop(line.where, entry) if isinstance(entry, Reason) else entry
    yield reader.report()


@dataclass
class _JudgementReader:
    """Turns judgements into items, and counts what the report needs."""

    tally: Tally
    questions: dict[str, dict[str, Any]]
    answers: dict[str, dict[str, Any]]
    seen: set[str] = field(default_factory=set)
    baselines: Counter[str] = field(default_factory=Counter)
    labels: list[Games] = field(default_factory=list)
    """The verdicts of each item's two games; None where a game has no usable verdict."""
    more_games: int = 0
    """Number of items with more than the two games that make a score."""

    def item(self, entry: dict[str, Any]) -> Item | LeftOut | Reason:
        """Return a judgement as an item, or why it cannot be one."""
        name = _item_id(entry)
        games = entry.get("games")
        if name is None or not isinstance(games, list):
            return Reason("no_judgement", "the line is not a judgement (no id, or no games)")
        if name in self.seen:
            return Reason("judgement_again", "the same item was judged before in this file")
        more, games = len(games) > 2, [*games, None, None][:2]
        known = self.questions.get(name, {})
        question = _question(known)
        if isinstance(question, Reason):
            return question
        self.seen.add(name)
        self.more_games += more
        labels = _label(games[0]), _label(games[1])
        self.labels.append(labels)
        answer = self.answers.get(name)
        system = _system(answer)
        baseline = entry.get("baseline")
        if baseline:
            self.baselines[str(baseline)] += 1
        messages: tuple[Message, ...] = ({"role": "user", "content": question},)
        if system:
            messages = ({"role": "system", "content": system}, *messages)
        item = LoggedPrompt(question, messages, None, None, FROM_FILE).item(
            name,
            group=str(entry.get("category") or known.get("category") or known.get("cluster") or "") or None,
            score=score_of_games(*labels),
            response=None if answer is None else model_answer(answer),
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
            self.tally.unscored_because(Reason("neither_game", "neither game has a verdict"))
        return self.tally.item(item, FROM_FILE)

    def report(self) -> LogEntry:
        """Return the report, with warnings about ties and position bias."""
        tally, judge = self.tally, str(self.tally.scorer)
        if self.baselines:
            tally.warn("judged_against", f"judged by {judge} against {', '.join(self.baselines)}")
        else:
            tally.warn("judged_by", f"judged by {judge}")
        if unjudged := sum(labels.count(None) for labels in self.labels):
            text = f"{plural(unjudged, 'game')} without a usable verdict; only the other game counts"
            tally.warn("one_game", text, unjudged)
        if self.more_games:
            text = f"{plural(self.more_games, 'item')} with more than two games; the first two count"
            tally.warn("more_games", text, self.more_games)
        for figure in arena_figures(self.labels)["summary"]:
            if figure.code in ("arena_ties", "arena_position"):
                tally.warn(figure.code, figure.text, *figure.numbers)
        if self.answers and (missing := len(self.seen - self.answers.keys())):
            text = f"{plural(missing, 'item')} without a line in model_answer, hence without a response"
            tally.warn("no_model_answer", text, missing)
        return tally.report()


def _item_id(value: Mapping[str, Any]) -> str | None:
    """Return a record's ``uid``, or its ``question_id`` in the old form; None if it has neither."""
    id = value.get("uid", value.get("question_id"))
    return str(id) if isinstance(id, (str, int)) else None


def _by_id(path: Path) -> dict[str, dict[str, Any]]:
    """Return a file's records by item id; empty if there is no such file. Unreadable lines are skipped."""
    records = {_item_id(line.value): line.value for line in log_lines(path)} if path.is_file() else {}
    return {id: record for id, record in records.items() if id is not None}


def _question(record: Mapping[str, Any]) -> str | Reason:
    """Return the question's text, or why there is none."""
    if not record:
        return Reason("no_question", "its question is missing from question.jsonl, next to model_judgment")
    content = record.get("prompt")
    if content is None:
        turns = sequence(record.get("turns")) or [None]
        if len(turns) > 1:
            return Reason("question_turns", "the question has several turns")
        content = turns[0].get("content") if isinstance(turns[0], Mapping) else turns[0]
    if not isinstance(content, str):
        return Reason("question_more_than_text", "the question contains more than text")
    return content if content.strip() else Reason("question_empty", "the question is empty")


def _system(record: Mapping[str, Any] | None) -> str | None:
    """Return the system prompt that the model read, or None."""
    first = mapping(next(iter(sequence(mapping(record).get("messages"))), None))
    return text_or_none(first.get("content")) if first.get("role") == "system" else None


def _label(game: Any) -> str | None:
    """Return a game's verdict, or None if it has none.

    In the old form, a plain text or a game without ``score``, the last label in the judgement counts.
    """
    if isinstance(game, Mapping):
        if "score" in game:
            return canonical(game["score"])
        game = game.get("judgment")
        if isinstance(game, Mapping):
            game = game.get("answer")
    labels = _LABEL.findall(game.upper()) if isinstance(game, str) else []
    return canonical(labels[-1]) if labels else None


LOG = Reader("Arena-Hard: model_judgment/JUDGE/MODEL.jsonl", find, read, options=())
