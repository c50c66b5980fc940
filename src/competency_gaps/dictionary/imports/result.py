"""Check that a source is about this SAE, and make rows of the label table from its labels."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary.imports.reading import Reading, SourceLabel, Stated, listed
from competency_gaps.dictionary.label_table import SCHEMA, STATED, check_label_table, merge_labels
from competency_gaps.dictionary.label_text import LABEL_LIMIT, NAME_LIMIT, clean_label, clean_name, is_placeholder
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible


def check_identity(stated: Stated, sae_identity: dict[str, Any], width: int, *, force: bool) -> str:
    """Compare what a source says of its SAE with the SAE at hand.

    Neuronpedia's id decides if both have one, since an SAE may have several names in SAELens (``canonical`` is an
    alias). Otherwise the SAELens name decides, if this SAE is a release. The width must agree where it is stated.

    Parameters
    ----------
    stated
        What the source says.
    sae_identity
        The SAE's identity: ``name``, ``neuronpedia_id``, ``hook_name`` are read.
    width
        Its number of concepts.
    force
        Accept a difference, which the result then states.

    Returns
    -------
    str
        A sentence on what was compared.

    Raises
    ------
    UserError
        If they differ and ``force`` is not set, or the source is about several SAEs at once.
    """
    for kind, names in (("Neuronpedia sources", stated.neuronpedia), ("SAEs", stated.saelens)):
        if len(names) > 1:
            raise UserError(f"the labels are about several {kind}: {listed(names)}. Give the labels of one SAE.")
    here, name = sae_identity.get("neuronpedia_id"), _release_name(sae_identity)
    source, saelens = next(iter(stated.neuronpedia), None), next(iter(stated.saelens), None)
    if here and source:
        pairs = [(f"Neuronpedia id {source}", source, str(here))]
    elif saelens and name:
        pairs = [(f"SAELens name {saelens}", saelens, name)]
    else:
        pairs = []
    pairs += [(f"{other:,} concepts", f"{other:,} concepts", f"{width:,} concepts") for other in sorted(stated.widths)]
    same = [what for what, theirs, ours in pairs if theirs == ours]
    differ = [(theirs, ours) for _, theirs, ours in pairs if theirs != ours]
    if differ and not force:
        theirs, ours = (_quoted(part) for part in differ[0])
        raise UserError(
            f"the labels belong to another SAE: they are about {theirs}, but this SAE is {ours} "
            f"(name {_quoted(sae_identity.get('name'))}). Give the labels of this SAE, or force the import if you know "
            f"that both are one."
        )
    if differ:
        return "differs, taken by force: " + "; ".join(f"{_quoted(a)} is not {_quoted(b)}" for a, b in differ)
    named = source or saelens or stated.module
    if same:
        return "agrees: " + _plain(", ".join(same))
    if not named:
        return "not stated by the source; only the index range was checked"
    return (
        f"the source says {_quoted(named)}, which cannot be compared with this SAE "
        f"(name {_quoted(sae_identity.get('name'))}, read at {_quoted(sae_identity.get('hook_name'))}); "
        f"only the index range was checked"
    )


def check_range(reading: Reading, sae_identity: dict[str, Any], width: int, *, force: bool) -> None:
    """Refuse concepts that the SAE lacks, or leave them out with ``force``.

    Raises
    ------
    UserError
        If there is one and ``force`` is not set.
    """
    outside = [label for label in [*reading.labels, *reading.looked_up.values()] if label.concept >= width]
    if not outside:
        return
    first = max(outside, key=lambda label: label.concept)
    if not force:
        stated = listed(reading.stated.neuronpedia | reading.stated.saelens) or "a source that does not name its SAE"
        raise UserError(
            f"the labels belong to another SAE: {_plain(first.where)} has concept {first.concept}, but this SAE "
            f"({_quoted(sae_identity.get('name'))}) has concepts 0 to {width - 1}. The labels are from {stated}. "
            f"Give the labels of this SAE, or force the import to leave such concepts out."
        )
    for concept, where in {label.concept: label.where for label in reversed(outside)}.items():
        reading.leave_out(where, f"concept beyond the SAE's {width:,}", f"concept {concept}")
    reading.labels = [label for label in reading.labels if label.concept < width]
    reading.looked_up = {concept: row for concept, row in reading.looked_up.items() if concept < width}


def _release_name(sae_identity: dict[str, Any]) -> str | None:
    """The SAE's name if it is a release of SAELens; None for a folder."""
    name = str(sae_identity.get("name") or "")
    local = name.startswith(("embedded:", "/", ".", "~")) or "\\" in name or "/" not in name or Path(name).is_dir()
    return None if local else name


def _quoted(value: Any) -> str:
    return repr(_plain(str(value)))


def _plain(text: str) -> str:
    return shorten(visible(text), 200)


_FAILED = re.compile(
    r"(the )?explanation (could not|couldn't|cannot|can't) be parsed|explanation parsing failed"
    r"|(could not|failed to) parse (the )?explanation"
)
"""Texts that explainers write if they cannot read a model's answer [ours]."""


@dataclass(frozen=True)
class Omission:
    """A part of the source that was left out or changed."""

    where: str
    """File or folder."""
    reason: str
    """Why."""
    count: int
    """How often."""
    first: str
    """The first place where it occurs; empty if it has none."""


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
    left_out: list[Omission]
    """Parts that were left out or changed, by place and reason."""
    identity_check: str
    """Whether the source is about this SAE, as far as is known."""


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


def _left_out(reading: Reading) -> list[Omission]:
    return [
        Omission(shorten(visible(where), 200), reason, count, shorten(visible(first), 200))
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
    """The text to store; None, and counted, if it is empty or an explainer's failure."""
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
