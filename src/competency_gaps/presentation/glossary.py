"""What the words of the report mean: linked from the header of each column, and as a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from competency_gaps.findings.phrases import alike
from competency_gaps.presentation.columns import Column


@dataclass(frozen=True)
class Term:
    """One word and its meaning."""

    key: str
    """Its address on the page; of a column, the column's key."""
    title: str
    meaning: str


# ``{among}``, ``{strata}`` and ``{min_gap}`` are the run's: see ``glossary``.
GENERAL = (
    Term(
        "finding",
        "finding",
        "A group of items on which the model does worse (weak) or better (strong) than on comparable items. It is "
        "found through concepts that are active in these items, and described by what the items have in common.",
    ),
    Term(
        "concept",
        "concept",
        "One latent of the sparse autoencoder (SAE): a direction in what the model computes, active on few tokens. "
        "It is alive if it is active somewhere in the reference text or in this run. Its label describes what "
        "activates it and is no proof of what it does; where the dictionary abstains, its number stands.",
    ),
    Term(
        "stratum",
        "stratum, net",
        "Items of one benchmark that are compared with each other: {strata}. A gap that is net compares items within "
        "their stratum only, so that neither a hard benchmark nor what is held equal makes a concept weak.",
    ),
    Term(
        "vanishes",
        "vanishes {among}",
        "The plain gap is real: the concept's items score differently from their benchmark. But {among} no gap is left "
        "(its interval holds 0, and at most half of the plain gap remains): what is held equal is the likelier reason.",
    ),
    Term(
        "negligible",
        "negligible",
        "There is a gap, and it is smaller than the run's least gap ({min_gap:g}).",
    ),
    Term(
        "cluster",
        "cluster, repeats",
        "Items that are no independent evidence: repeats, which ask the same, word for word or nearly, and items that "
        "their benchmark puts together, such as several questions on one passage. A cluster counts as one item in "
        "every test and stays together when items are split into halves. Of repeats only the first is shown, with "
        "their count.",
    ),
    Term("interval", "[low, high]", "Where the true value lies with the run's level of confidence, 95% by default."),
    Term(
        "unseen",
        "the other half",
        "A finding is looked for on a random half of the items, many times. Where that half finds it again, its gap on "
        "the other half shows whether it holds there too. Findings were chosen on all items, so this is no test on new "
        "items: ‘cgaps probe’ makes that test.",
    ),
    Term("points", "points", "Hundredths of a score: from 57% right to 50% right are 7 points."),
    Term("missing", "missing", "Active in no item of a benchmark (or of any)."),
    Term(
        "scope",
        "scope",
        "What a benchmark says it tests, in the words of the configuration. Concepts "
        "are called lacking only within it.",
    ),
    Term("reference", "reference text", "Ordinary text that the run read to know how often a concept is active there."),
    Term(
        "saliency",
        "saliency",
        "How strongly an item activates the concept: 0 absent, about 0.46 at the concept's typical activation, "
        "towards 1 when strong.",
    ),
    Term(
        "kind",
        "kinds of concepts",
        "contextual: none of the others; topics, skills and ways of talking are among these. mixed: the texts in which "
        "it is strongest have no meaning in common. token: the token, or it and the token before, explain most of its "
        "activation; format: most of it lies on punctuation, white space, digits or markup; position: on the first "
        "tokens of texts; template: outside the item's own text; dense: it is active on more than a tenth of the "
        "tokens. All but contextual concepts are counted and shown, and ranked only where that was asked for. A "
        "concept whose kind is not known is ranked.",
    ),
)
THEME = Term(
    "theme",
    "theme",
    "Concepts that the dictionary puts together. Its activation is that of its ranked concepts, summed, and it is "
    "tested like a concept; the themes are one family of tests, the subthemes another.",
)
LISTS = (
    Term(
        "entry",
        "entry",
        "A weakness, a quality or a probe of a list that others made. The run recovers it as weak if a weak concept or "
        "theme matches it. It is untested by the suite if only concepts that the suite misses or under-represents "
        "match it. It is matched if other concepts or themes do, and not matched if none does. By examples it is not "
        "compared where it has too few examples, or too few others of its domain and length.",
    ),
    Term(
        "auroc",
        "AUROC",
        "How well a concept tells an entry's examples from others of its domain and of about the same length: how "
        "often it is more active in one of the entry's than in one of the others, ties counting half. So 0.5 is no "
        "better than chance, and 1 is always. It is measured on the half of the examples that did not choose the "
        "concept.",
    ),
    Term(
        "by_chance",
        "by chance",
        "How many entries have an outcome where nothing but chance can give it: by examples, with the examples dealt "
        "out anew among entries (matched), with groups of weak concepts moved to others of about equal support (weak), "
        "or with coverage exchanged among concepts that are active in about as many examples (untested); by labels, "
        "with the words of labels shuffled (matched), or with labels exchanged among concepts (weak, untested).",
    ),
)
MARKS = Term(
    "marks",
    "auto",
    "The label was put together from words of the concept's exemplars, and nobody checked it.",
)
UNDEFINED = Term("na", "N/A", "Not defined, which is not zero.")


def glossary(
    columns: Iterable[Column], evidence: Mapping[str, Any], *, themes: bool, labelled: bool, lists: bool
) -> list[Term]:
    """Explain the words of a page: general ones first, then its columns.

    Parameters
    ----------
    columns : iterable of Column
        Each is explained once.
    evidence : mapping
        The manifest's ``evidence``, for what items are compared at equal values of.
    themes, labelled, lists : bool
        Whether the page speaks of themes, of labels, and of other people's lists.
    """
    shown = {column.key: Term(column.key, column.title, f"{column.hint}.") for column in columns}
    among = alike(evidence)
    strata = f"in this run those {among}" if among else "in this run all of them"
    words = {"among": among, "strata": strata, "min_gap": float(evidence["min_gap"])}
    general = [
        Term(term.key, term.title.format(**words), term.meaning.format(**words))
        for term in GENERAL
        if among or term.key != "vanishes"
    ]
    more = [*([THEME] if themes else []), *(LISTS if lists else []), *([MARKS] if labelled else [])]
    return [*general, *more, UNDEFINED, *shown.values()]
