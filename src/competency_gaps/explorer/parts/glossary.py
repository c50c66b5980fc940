"""What the words of the explorer mean: a list that it shows as a whole, and behind the header of each column."""

from __future__ import annotations

from competency_gaps.explorer.parts.columns import column_specs
from competency_gaps.explorer.parts.context import Context
from competency_gaps.findings.answer_parts import alike

_GENERAL = (
    (
        "finding",
        "finding",
        "A group of items on which the model does worse (weak) or better (strong) than on comparable items. It is "
        "found through concepts that are active in these items, and told by what the items have in common.",
    ),
    (
        "concept",
        "concept",
        "One latent of the sparse autoencoder (SAE): a direction in what the model computes, active on few tokens. Its "
        "label is a guess at its meaning; auto marks a label that nobody checked, doubtful one that scored poorly.",
    ),
    (
        "comparable",
        "comparable items",
        "Items of the same benchmark {alike}. Gaps are taken against these, so that a hard benchmark, or long items, "
        "do not make a concept weak.",
    ),
    (
        "interval",
        "interval [low, high]",
        "Where the true value lies with a confidence of {level}, as far as these items tell.",
    ),
    (
        "repeats",
        "repeats",
        "Items that ask the same, word for word or nearly. They count as one item in every test and are shown as one "
        "example with its count.",
    ),
    (
        "unseen",
        "unseen items",
        "A finding is looked for on a random half of the items, many times. Where it is found again, its gap on the "
        "other half, which it was not found on, says whether it holds.",
    ),
    (
        "score",
        "score",
        "How well an item was answered, from 0 to 1. A mean score of 57% of items that are right or wrong means that "
        "57% are right.",
    ),
    (
        "cas",
        "CAS",
        "Concept activation score: how strongly a concept is active in an item, averaged over the tokens that the run "
        "counts (its span).",
    ),
    (
        "saliency",
        "saliency",
        "How strong a concept is in an item beside its own typical activation, from 0 to 1; a typical activation is "
        "0.46.",
    ),
    (
        "alive",
        "alive",
        "A concept that is active somewhere in the run or in the reference text.",
    ),
    (
        "ranked",
        "ranked",
        "An alive concept without a flag. Flagged ones (dense, template, exact token) stand for the form of a text "
        "rather than for what it is about, and no verdict counts them.",
    ),
    (
        "theme",
        "theme",
        "A group of concepts of related meaning; a subtheme is a finer one.",
    ),
    (
        "scope",
        "scope",
        "What a benchmark says it tests, in the words of the configuration. Only of this is it said that something is "
        "lacking.",
    ),
)


def glossary(context: Context) -> list[dict[str, str | None]]:
    """Explain every word that is no plain English.

    Returns
    -------
    list of dict
        ``key`` (of a column: the column's), ``title``, ``meaning``; general words first, then the columns.
    """
    evidence = context.manifest["evidence"]
    facts = {"alike": alike(evidence) or "and nothing else in common", "level": f"{evidence['level']:.0%}"}
    general = [{"key": key, "title": title, "meaning": meaning.format(**facts)} for key, title, meaning in _GENERAL]
    columns = [
        {"key": spec["key"], "title": spec["title"], "meaning": f"{spec['hint'].rstrip('.')}."}
        for spec in column_specs(context)
        if spec["key"] not in ("label", "finding")
    ]
    return [*general, *columns]
