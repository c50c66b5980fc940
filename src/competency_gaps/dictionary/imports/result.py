"""Check that a source is about this SAE, and make rows of the label table from its labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary.imports.reading import Reading, SourceLabel, StatedSAE, listed
from competency_gaps.dictionary.label_table import SCHEMA, STATED, empty_labels, merge_labels, today
from competency_gaps.dictionary.label_text import LABEL_LIMIT, NAME_LIMIT, clean_label, clean_name, is_placeholder
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible


def check_identity(stated: StatedSAE, sae_identity: dict[str, Any], width: int, *, force: bool) -> str:
    """Compare what a source says about its SAE with the SAE of the dictionary.

    Neuronpedia's id decides if both have one, since an SAE may have several names in SAELens (``canonical`` is an
    alias). Otherwise the SAELens name decides, if this SAE is a release. The width must agree where it is stated.

    Parameters
    ----------
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
    source, saelens = next(iter(stated.neuronpedia), None), next(iter(stated.saelens), None)
    name, neuronpedia_id = _release_name(sae_identity), sae_identity.get("neuronpedia_id")
    pairs = []
    if neuronpedia_id and source:
        pairs.append(("Neuronpedia id ", source, str(neuronpedia_id)))
    elif saelens and name:
        pairs.append(("SAELens name ", saelens, name))
    pairs += [("", f"{other:,} concepts", f"{width:,} concepts") for other in sorted(stated.widths)]
    differ = [(_quoted(theirs), _quoted(ours)) for _, theirs, ours in pairs if theirs != ours]
    this = f"name {_quoted(sae_identity.get('name'))}"
    if differ and not force:
        raise UserError(
            f"the labels belong to another SAE: they are about {differ[0][0]}, but this SAE is {differ[0][1]} "
            f"({this}). Give the labels of this SAE, or force the import if you know that both are the same."
        )
    if differ:
        return "differs, taken by force: " + "; ".join(f"{theirs} is not {ours}" for theirs, ours in differ)
    if pairs:
        return "agrees: " + _plain(", ".join(kind + theirs for kind, theirs, _ in pairs))
    if stated_name := source or saelens or stated.module:
        return (
            f"the source says {_quoted(stated_name)}, which cannot be compared with this SAE "
            f"({this}, read at {_quoted(sae_identity.get('hook_name'))}); only the index range was checked"
        )
    return "not stated by the source; only the index range was checked"


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
    if not force:
        first = max(outside, key=lambda label: label.concept)
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
"""Texts that explainers write when they cannot read a model's answer [ours]."""


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
    """Concepts that the source does not know (never looked up). The three add up to the SAE's width."""
    placeholders: int
    """Labels that are only a token."""
    left_out: list[Omission]
    """Parts that were left out or changed, by place and reason."""
    identity_check: str
    """Whether the source is about this SAE, as far as is known."""


def checked_labels(reading: Reading, *, sae_identity: dict[str, Any], width: int, force: bool) -> ImportedLabels:
    """Check the labels of a source and make rows of the label table from them.

    Parameters
    ----------
    sae_identity
        The SAE's identity.
    width
        Number of concepts of the SAE.
    force
        Accept a source that says it is about another SAE; concepts that the SAE lacks are left out.

    Raises
    ------
    UserError
        If the source is about another SAE, or nothing in it can be used.
    """
    check = check_identity(reading.stated, sae_identity, width, force=force)
    check_range(reading, sae_identity, width, force=force)
    rows = _rows(reading)
    left_out = [
        Omission(_plain(where), reason, count, _plain(first))
        for (where, reason), (count, first) in sorted(reading.left_out.items())
    ]
    if not rows:
        reasons = "; ".join(f"{item.where}: {item.reason} ({item.count:,})" for item in left_out[:5])
        raise UserError(f"no label can be taken from this source ({reading.kind}). {reasons or 'It is empty.'}")
    table = merge_labels(empty_labels(), pl.DataFrame(rows, schema=SCHEMA))
    labelled = table.filter(pl.col("label").is_not_null())["concept"].n_unique()
    looked_up = table["concept"].n_unique()
    return ImportedLabels(
        table=table,
        source_kind=reading.kind,
        labelled=labelled,
        none=looked_up - labelled,
        never=width - looked_up,
        placeholders=int(table["placeholder"].sum()),
        left_out=left_out,
        identity_check=check,
    )


def _rows(reading: Reading) -> list[dict[str, Any]]:
    """Rows of the label table; labels of the same concept, explainer and source are numbered alphabetically [ours]."""
    texts = [(label, text) for label in reading.labels if (text := _text(label, reading)) is not None]
    rows: list[dict[str, Any]] = []
    seen = set()
    counts: Counter[tuple[int, str | None, str | None]] = Counter()
    for label, text in sorted(texts, key=lambda pair: (pair[1], pair[0].explainer or "", pair[0].source)):
        source = clean_name(label.source)
        if (label.concept, text, label.explainer, source) in seen:
            reading.leave_out(label.where, "the same label of the same explainer again", f"concept {label.concept}")
            continue
        seen.add((label.concept, text, label.explainer, source))
        counts[label.concept, label.explainer, source] += 1
        number = counts[label.concept, label.explainer, source]
        rows.append(
            {
                **_row(label, f"{(source or '')[: NAME_LIMIT - 10]} ({number})" if number > 1 else source),
                "label": text,
                "detection": label.detection,
                "fuzzing": label.fuzzing,
                "score": label.score,
                "scored_by": None if label.score is None else STATED,
                "placeholder": is_placeholder(label.text or "", reading.tokens.get(label.concept)),
            }
        )
    labelled = {label.concept for label, _ in texts}
    known = reading.looked_up | {label.concept: label for label in reversed(reading.labels)}
    return rows + [_row(label, clean_name(label.source)) for concept, label in known.items() if concept not in labelled]


def _row(label: SourceLabel, source: str | None) -> dict[str, Any]:
    """The row of a concept that was looked up and has no label."""
    return {
        "concept": label.concept,
        "kind": "imported",
        "explainer": label.explainer,
        "source": source,
        "placeholder": False,
        "date": today(),
    }


def _text(label: SourceLabel, reading: Reading) -> str | None:
    """The text to store; None, and counted, if it is empty or reports an explainer's failure."""
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
