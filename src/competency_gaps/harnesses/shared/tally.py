"""Counting while a log is read, so that nothing of it is left out in silence."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from competency_gaps.harnesses.shared.part import NONE, LogPart
from competency_gaps.items.item import Item, LeftOut, SourceReport, is_whole
from competency_gaps.items.remark import Remark, counted


@dataclass
class Tally:
    """Counts of one part; ``report`` gives them when all is read."""

    part: LogPart
    metric: str | None = None
    filter: str | None = None
    scorer: str | None = None
    model: str | None = None
    """The model as the records say it; None takes the part's."""
    available: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    records: int = 0
    items: int = 0
    averaged: int = 0
    averaged_items: int = 0
    unscored: int = 0
    left_out: Counter[Remark] = field(default_factory=Counter)
    own_text: Counter[str] = field(default_factory=Counter)
    warnings: dict[Remark, None] = field(default_factory=dict)
    """Each once, in their order."""
    reasons: Counter[Remark] = field(default_factory=Counter)
    """Why records have no score, where the log says it -> records."""

    def item(self, item: Item, own_text: str, *, records: int = 1) -> Item | LeftOut:
        """Count an item and give it back, without its score where none was asked for.

        Its identity gets the SHA-256 of all that the model read as ``prompt_hash``, where the tool wrote none.

        Parameters
        ----------
        own_text
            How its own text was found in what the model read.
        records
            Records that went into it; several are averaged.

        Returns
        -------
        Item or LeftOut
            The latter if one of its texts cannot be written as UTF-8.
        """
        if not is_whole(item):
            half = Remark("half_character")
            self.left_out[half] += records
            return LeftOut(f"item {item.id}".encode(errors="replace").decode(), half)
        logged = item.identity.get("prompt_hash")
        identity = {**item.identity, "prompt_hash": logged if logged and isinstance(logged, str) else _hash(item)}
        item = replace(item, identity=identity, score=None if self.metric == NONE else item.score)
        self.items += 1
        self.unscored += item.score is None
        self.own_text[own_text] += 1
        if records > 1:
            self.averaged += records
            self.averaged_items += 1
        return item

    def unscored_because(self, reason: Remark, count: int = 1) -> None:
        """Count why records have no score; their item is kept, for coverage. If none were asked for, that says all."""
        if self.metric != NONE:
            self.reasons[reason] += count

    def drop(self, where: str, reason: Remark) -> LeftOut:
        """Count a record that becomes no item."""
        self.left_out[reason] += 1
        return LeftOut(where, reason)

    def pass_over(self, reason: Remark) -> None:
        """Count a record that was not chosen (another filter) and is not named."""
        self.left_out[reason] += 1

    def warn(self, code: str, *numbers: float, quotes: tuple[str, ...] = ()) -> None:
        """Keep a warning, once."""
        self.warnings[Remark(code, numbers, quotes)] = None

    def report(self) -> SourceReport:
        """What was read; every record is in the counts once."""
        accounted = self.items - self.averaged_items + self.averaged + self.left_out.total()
        assert self.records == accounted, f"{self.part.format}: {self.records} records, {accounted} counted"
        files = tuple(str(path) for path in self.part.files)
        return SourceReport(
            format=self.part.format,
            benchmark=self.part.benchmark,
            files=files,
            model=self.model or self.part.model,
            metric=self.metric,
            filter=self.filter,
            scorer=self.scorer,
            available=dict(self.available),
            records=self.records,
            items=self.items,
            averaged=self.averaged,
            averaged_items=self.averaged_items,
            unscored=self.unscored,
            unscored_because=counted(self.reasons),
            left_out=counted(self.left_out),
            own_text=dict(self.own_text),
            warnings=(*self.part.notes, *self.warnings),
        )


def _hash(item: Item) -> str:
    """SHA-256 of the messages (as JSON), or else of the text, that the model read."""
    content = item.seen.text if item.seen else item.prompt
    if item.messages:
        content = json.dumps(item.messages, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
