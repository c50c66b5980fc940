"""Facts of a run for report and explorer: settings, figures of judges, warnings of logs, provenance of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.concepts.labels import STATED
from competency_gaps.items.item import Reason
from competency_gaps.util.text import NOT_DEFINED, decimal, integer, percent, plural, share_of, shorten, tenths, visible

_LIMIT = 600


@dataclass(frozen=True)
class Fact:
    """One line of the run card."""

    name: str
    value: str
    note: str = ""


def _scored(manifest: Mapping[str, Any]) -> list[Fact]:
    """Return whose scores these are, if they are not the reader's."""
    name = str(manifest["scored_model"])
    if manifest["model"] is not None and name == manifest["model"]["name"]:
        return []
    return [Fact("Scores of", name, "" if manifest["model"] is None else "the concepts are the model's above")]


def run_card(manifest: Mapping[str, Any]) -> list[Fact]:
    """Return facts on how a run was made: model, SAE, hook, gate and settings; without a reading, whose scores it
    has.
    """
    if manifest["model"] is None:
        return [*_scored(manifest), Fact("Reading", "none", f"created {manifest['created']}")]
    model, sae, gate, hook = (manifest[part] for part in ("model", "sae", "gate", "hook"))
    dead = gate.get("dead_share")
    figures_of_gate = [
        f"L0 {tenths(gate.get('l0'))}",
        f"explained variance {decimal(gate.get('explained_variance'))}",
        f"silent {NOT_DEFINED if dead is None else percent(dead, 1)} of {integer(sae['d_sae'])}",
        f"on {integer(gate.get('tokens'))} tokens",
    ]
    verdict = "passed" if gate.get("passed") else "failed, but the run went on" if gate.get("forced") else "failed"
    shape = f"{model['class']}, {model['layers']} layers × {integer(model['hidden_size'])}, {model['dtype']}"
    size = f"{sae['architecture']}, {integer(sae['d_sae'])} concepts over {integer(sae['d_in'])} dimensions"
    setting = "the paper's setting" if manifest.get("paper") else "this project's setting"
    return [
        Fact("Model", str(model["name"]), shape),
        *_scored(manifest),
        Fact("Weights", str(model["weights_sha256"])[:16], "sha256, first 16 digits"),
        Fact("SAE", str(sae["name"]), size),
        Fact("Hook", str(hook["path"]), f"where the SAE reads the model: {hook['side']} of layer {hook['layer']}"),
        Fact("SAE gate", verdict, ", ".join(figures_of_gate)),
        Fact("Span", str(manifest["span"]), "the tokens of an item that count"),
        Fact("Pooling", str(manifest["pooling"]), "token activations to one per item"),
        Fact("Definitions", setting, f"created {manifest['created']}"),
    ]


def listing(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as pairs of dotted names and short values."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            lines += listing(value, f"{name}.")
        else:
            lines.append((shorten(name, 80), shorten(str(value), 200)))
    return lines


def benchmark_lines(manifest: Mapping[str, Any], name: str) -> list[str]:
    """Return lines about a benchmark, from its scorers and judges."""
    lines, judging = [], manifest.get("judging") or {"benchmarks": {}}
    if count := judging["benchmarks"].get(name):
        who = judging["judge"] or "nobody"
        line = f"judged by {shorten(who, 60)}, {share_of(count['scored'], count['items'])} scored"
        if count["failed"]:
            line += f", {integer(count['failed'])} answers of the judge not usable"
        if count["unasked"]:
            line += f", {integer(count['unasked'])} items not judged"
        lines.append(line)
    figures = next((entry.get("figures") for entry in manifest["benchmarks"] if entry["name"] == name), None) or {}
    remarks = ((scorer, remark) for scorer, figure in figures.items() for remark in figure["summary"])
    return [*lines, *(f"{scorer}: {Reason.of(remark)}" for scorer, remark in remarks)]


def source_warnings(benchmark: Mapping[str, Any]) -> dict[str, bool]:
    """Return the warnings about a benchmark's logs and tasks, each once.

    Parameters
    ----------
    benchmark : mapping
        Entry of the manifest; one without ``source`` has no warnings.

    Returns
    -------
    dict of str to bool
        Warning -> whether it says that the log is of another model, so that scores and concepts may not belong
        together.
    """
    warnings: dict[str, bool] = {}
    for report in benchmark.get("source") or ():
        remarks = [Reason.of(warning) for warning in report["warnings"]]
        lines = [(str(remark), remark.code == "other_model") for remark in remarks]
        for entry in report["unscored_because"]:
            reason = Reason.of(entry["reason"])
            lines.append((f"{plural(entry['count'], 'record')} without a score: {reason}", False))
        warnings |= {shorten(visible(line), _LIMIT): bad for line, bad in lines}
    return warnings


def unread(left_out: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return lines on records that became no item, one per reason, with the first place unless it is redacted."""
    places: dict[Reason, list[str | None]] = {}
    for entry in left_out:
        places.setdefault(Reason.of(entry["reason"]), []).append(entry["where"])
    return [
        f"{plural(len(where), 'record')}: {shorten(str(reason), _LIMIT)}"
        + ("" if where[0] is None else f" (first: {shorten(where[0], 200)})")
        for reason, where in places.items()
    ]


AUTOMATIC = "auto"
KINDS = ("explained", "imported", "automatic")
_NAME_LIMIT = 80


def marks_of(row: Mapping[str, Any]) -> list[str]:
    """Return the warnings to show beside a label.

    Parameters
    ----------
    row : mapping
        A row of ``run.concepts``; only its ``label`` is required.

    Returns
    -------
    list of str
        ``auto``: the label is automatic, made of exemplars' words that nobody checked. Empty without a label.
    """
    return [AUTOMATIC] if row["label"] and row.get("label_kind") == "automatic" else []


def provenance(row: Mapping[str, Any]) -> str | None:
    """Return in words who made a label and how it scored; None in a run without a dictionary.

    Parameters
    ----------
    row : mapping
        A row of ``run.concepts``.
    """
    if not row["label"]:
        states = {
            "none": "No label: looked up, and the source has none, abstained, or its label scored below 0.6",
            "never": "No label: never looked up in a dictionary",
        }
        return states.get(str(row.get("label_state")))
    kind, explainer = row.get("label_kind"), row.get("explainer")
    if kind is None:
        return None
    name = shorten(str(explainer), _NAME_LIMIT) if explainer else None
    text = {
        "explained": f"explained by {name or 'an explainer that left no name'}",
        "imported": "imported" + (f", written by {name}" if name else ""),
        "automatic": f"automatic: {name or 'words of exemplars'}",
    }.get(str(kind), shorten(str(kind), _NAME_LIMIT))
    return text + _score(row)


def _score(row: Mapping[str, Any]) -> str:
    """Return a label's score, as the end of a sentence about its source."""
    score, by = row.get("label_score"), row.get("label_scored_by")
    if score is None:
        return "" if row.get("label_kind") == "automatic" else ", not scored"
    if by == STATED:
        return f", its source's own score {decimal(score)}"
    return f", {shorten(str(by or 'score'), 40)} {decimal(score)}"


def dictionary_fact(manifest: Mapping[str, Any], concepts: pl.DataFrame) -> Fact | None:
    """Return how many alive concepts have a label, by kind; None in a run without a dictionary."""
    facts = manifest.get("dictionary")
    if not facts:
        return None
    alive = concepts.filter(pl.col("alive"))
    labelled = alive.filter(pl.col("label").fill_null("") != "")
    counts = dict(labelled.group_by("label_kind").len().iter_rows())
    kinds = ", ".join(f"{integer(counts[kind])} {kind}" for kind in KINDS if kind in counts) or "none"
    atlas = f"an atlas of {plural(facts['regions'], 'region')}" if facts.get("regions") else "no atlas"
    note = f"{kinds}; dictionary {shorten(str(facts.get('name') or 'without a name'), _NAME_LIMIT)}; {atlas}"
    return Fact("Labels", f"{share_of(labelled.height, alive.height)} alive concepts", note)
