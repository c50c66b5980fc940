"""From what was read to rows of the label table."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.dictionary.imports.identity import check_identity, check_range
from competency_gaps.dictionary.imports.reading import Reading, SourceLabel
from competency_gaps.dictionary.label_table import SCHEMA, STATED, check_label_table, merge_labels
from competency_gaps.dictionary.label_text import LABEL_LIMIT, NAME_LIMIT, clean_label, clean_name, is_placeholder
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible

_FAILED = re.compile(
    r"(the )?explanation (could not|couldn't|cannot|can't) be parsed|explanation parsing failed"
    r"|(could not|failed to) parse (the )?explanation"
)
"""What explainers write where they fail to read a model's answer [ours]."""


@dataclass(frozen=True)
class LeftOut:
    """Something of the source that was not taken over as it is."""

    where: str
    """File or folder."""
    reason: str
    """Why."""
    count: int
    """How often."""
    first: str
    """The first place where it occurs; empty where there is none to name."""


@dataclass(frozen=True)
class ImportedLabels:
    """Labels from a source, and how the import went."""

    table: pl.DataFrame
    """Rows of the label table, kind "imported"."""
    source_kind: str
    """Format of the source."""
    labelled: int
    """Concepts with a label."""
    none: int
    """Concepts that were looked up and have no label."""
    never: int
    """Concepts that the source does not know: never looked up. The three add up to the SAE's width."""
    placeholders: int
    """Labels that are only a token."""
    left_out: list[LeftOut]
    """What was not taken over as it is, by place and reason."""
    identity_check: str
    """What is known of whether the source is about this SAE."""


def imported(reading: Reading, *, sae_identity: dict[str, Any], width: int, force: bool, date: str) -> ImportedLabels:
    """Check what was read and make rows of it.

    Parameters
    ----------
    reading
        What a format's module read.
    sae_identity
        The SAE's identity.
    width
        Number of concepts of the SAE.
    force
        Take labels of a source that says it is about another SAE; concepts beyond the SAE's are left out.
    date
        ISO date that the rows carry.

    Raises
    ------
    UserError
        If the source is about another SAE, or nothing in it can be used.
    """
    check = check_identity(reading.stated, sae_identity, width, force=force)
    check_range(reading, sae_identity, width, force=force)
    rows = _rows(reading, date)
    if not rows:
        reasons = "; ".join(f"{item.where}: {item.reason} ({item.count:,})" for item in _left_out(reading)[:5])
        raise UserError(f"no label can be taken from this source ({reading.kind}). {reasons or 'It is empty.'}")
    table = merge_labels(pl.DataFrame(schema=SCHEMA), pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    check_label_table(table, width, "imported labels")
    labelled = table.filter(pl.col("label").is_not_null())["concept"].n_unique()
    looked_up = table["concept"].n_unique()
    return ImportedLabels(
        table=table,
        source_kind=reading.kind,
        labelled=labelled,
        none=looked_up - labelled,
        never=width - looked_up,
        placeholders=int(table["placeholder"].sum()),
        left_out=_left_out(reading),
        identity_check=check,
    )


def _left_out(reading: Reading) -> list[LeftOut]:
    return [
        LeftOut(shorten(visible(where), 200), reason, count, shorten(visible(first), 200))
        for (where, reason), (count, first) in sorted(reading.left_out.items())
    ]


def _rows(reading: Reading, date: str) -> list[tuple[Any, ...]]:
    by_concept: dict[int, list[SourceLabel]] = defaultdict(list)
    for label in reading.labels:
        by_concept[label.concept].append(label)
    rows: list[tuple[Any, ...]] = []
    for concept in sorted(by_concept.keys() | reading.looked_up.keys()):
        texts = [(label, _text(label, reading)) for label in by_concept[concept]]
        named = [(label, text) for label, text in texts if text is not None]
        if named:
            rows += _labelled(named, reading, date)
        else:
            known = texts[0][0] if texts else reading.looked_up[concept]
            rows.append(_row(known._replace(text=None), None, clean_name(known.source), False, date))
    return rows


def _text(label: SourceLabel, reading: Reading) -> str | None:
    """The text to store; null, and counted, for an empty one and for an explainer's failure."""
    if label.text is None:
        return None
    text = clean_label(label.text)
    place = f"concept {label.concept}"
    if text is None:
        reading.leave_out(label.where, "empty label: kept as looked up and none", place)
        return None
    if _FAILED.fullmatch(text.strip(" .[]\"'").casefold()):
        reading.leave_out(label.where, "the explainer failed: kept as looked up and none", place)
        return None
    if len(text) == LABEL_LIMIT and text.endswith("…") and not label.text.rstrip().endswith("…"):
        reading.leave_out(label.where, f"label cut at {LABEL_LIMIT} characters", place)
    return text


def _labelled(named: list[tuple[SourceLabel, str]], reading: Reading, date: str) -> list[tuple[Any, ...]]:
    """Rows of one concept; labels with one explainer and source are numbered in alphabetical order [ours]."""
    rows, seen = [], set()
    counts: dict[tuple[str | None, str | None], int] = defaultdict(int)
    for label, text in sorted(named, key=lambda pair: (pair[1], pair[0].explainer or "", pair[0].source)):
        source = clean_name(label.source)
        if (text, label.explainer, source) in seen:
            reading.leave_out(label.where, "the same label of the same explainer again", f"concept {label.concept}")
            continue
        seen.add((text, label.explainer, source))
        counts[label.explainer, source] += 1
        number = counts[label.explainer, source]
        known = reading.tokens.get(label.concept)
        rows.append(
            _row(
                label,
                text,
                f"{(source or '')[: NAME_LIMIT - 10]} ({number})" if number > 1 else source,
                is_placeholder(label.text or "", known),
                date,
            )
        )
    return rows


def _row(label: SourceLabel, text: str | None, source: str | None, placeholder: bool, date: str) -> tuple[Any, ...]:
    stated = text is not None and label.score is not None
    scores = (label.detection, label.fuzzing, None) if text is not None else (None, None, None)
    return (
        label.concept,
        text,
        "imported",
        label.explainer,
        None,
        *scores,
        label.score if stated else None,
        STATED if stated else None,
        source,
        placeholder,
        date,
    )
