"""Features of items in plain words: the one place where a feature's code becomes a noun phrase."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.dictionary.kinds import CONTEXTUAL, kind_counts
from competency_gaps.errors import UserError
from competency_gaps.text import integer, share_of, shorten, visible

_PLAIN = {
    "prompt.negation": "with a negation",
    "prompt.question": "put as a question",
    "prompt.no_question": "not put as a question",
    "prompt.capitals": "with a word in capitals",
    "prompt.other_script": "with letters outside a to z",
    "prompt.repeated_word": "in which a word comes twice",
    "number.none": "without a number",
    "number.negative": "with a negative number",
    "number.decimal": "with a decimal number",
    "number.equal": "in which a number comes twice",
    "number.rising": "whose first number is smaller than the second",
    "number.falling": "whose first number is larger than the second",
    "answer.negative": "whose answer is negative",
    "answer.positive": "whose answer is positive",
    "answer.zero": "whose answer is zero",
    "answer.even": "whose answer is even",
    "answer.odd": "whose answer is odd",
    "answer.decimal": "whose answer is a decimal number",
    "answer.number": "whose answer is a number",
    "answer.yes_no": "whose answer is yes or no",
    "answer.letter": "whose answer is a single letter",
    "answer.word": "whose answer is one word",
    "answer.words": "whose answer is several words",
    "answer.list": "whose answer is a list",
    "answer.in_prompt": "whose answer stands in the question",
    "answer.not_in_prompt": "whose answer does not stand in the question",
    "option.longest": "whose right option is the longest",
    "option.shortest": "whose right option is the shortest",
    "option.first": "whose right option comes first",
    "option.last": "whose right option comes last",
    "option.largest": "whose right option is the largest number",
    "option.smallest": "whose right option is the smallest number",
}
_WITH_VALUE = {
    "prompt.word": "with the word “{}”",
    "prompt.character": "with the character “{}”",
    "prompt.asks": "that ask “{}”",
    "prompt.words.above": "of more than {} words",
    "prompt.words.to": "of at most {} words",
    "prompt.characters.above": "of more than {} characters",
    "prompt.characters.to": "of at most {} characters",
    "prompt.longest_word.above": "with a word of more than {} letters",
    "prompt.longest_word.to": "whose longest word has at most {} letters",
    "prompt.digits.above": "with more than {} digits",
    "prompt.digits.to": "with at most {} digits",
    "number.count.above": "with more than {} numbers",
    "number.count.to": "with at most {} numbers",
    "number.largest.above": "whose largest number is above {}",
    "number.largest.to": "whose largest number is at most {}",
    "number.smallest.above": "whose smallest number is above {}",
    "number.smallest.to": "whose smallest number is at most {}",
    "answer.value": "whose answer is “{}”",
    "answer.above": "whose answer is above {}",
    "answer.to": "whose answer is at most {}",
    "answer.size.above": "whose answer is above {} in size",
    "answer.size.to": "whose answer is at most {} in size",
    "answer.characters.above": "whose answer has more than {} characters",
    "answer.characters.to": "whose answer has at most {} characters",
    "option.count.above": "with more than {} options",
    "option.count.to": "with at most {} options",
    "group": "of the group “{}”",
}
CHARACTERS = {
    "?": "a question mark",
    ",": "a comma",
    ";": "a semicolon",
    ":": "a colon",
    "!": "an exclamation mark",
    '"': "quotation marks",
    "'": "an apostrophe",
    "(": "brackets",
    "[": "square brackets",
    "{": "braces",
    "-": "a hyphen or minus sign",
    "+": "a plus sign",
    "*": "an asterisk",
    "/": "a slash",
    "=": "an equals sign",
    "<": "a less-than sign",
    ">": "a greater-than sign",
    "%": "a per-cent sign",
    "$": "a dollar sign",
    "\\": "a backslash",
    "_": "an underscore",
    "#": "a hash sign",
    "&": "an ampersand",
    "|": "a vertical bar",
    "^": "a caret",
    "\n": "several lines",
}
"""Characters that can be features, by name."""


_PLURAL = re.compile(r"\b1 (word|character|digit|number|option|letter)s\b")

_OPPOSITES = {
    "answer.positive": "answer.negative",
    "answer.not_in_prompt": "answer.in_prompt",
    "answer.odd": "answer.even",
    "prompt.no_question": "prompt.question",
    "number.falling": "number.rising",
    "option.shortest": "option.longest",
    "option.smallest": "option.largest",
}


def topic(code: str) -> str:
    """Give what a feature is about: features of one topic, such as an answer's sign or size, say much the same.

    Parameters
    ----------
    code
        As of :func:`feature_words`.
    """
    name, separator, value = code.partition(":")
    for ending in (".above", ".to"):
        if name.endswith(ending):
            name = name.removesuffix(ending)
            # A limit near 0 parts negative from positive answers.
            return "answer.negative" if name == "answer" and abs(float(value)) <= 1 else name
    return f"{name}:{value}" if separator else _OPPOSITES.get(name, name)


def feature_words(code: str) -> str:
    """A feature as a noun phrase, e.g. ``items whose answer is negative``.

    Parameters
    ----------
    code
        ``family.name``, with ``:value`` where the feature has one; a covariate is ``covariate.NAME:value``,
        ``covariate.NAME.above:value`` or ``covariate.NAME.to:value``.

    Raises
    ------
    UserError
        If it is no feature's code.
    """
    if code in _PLAIN:
        return f"items {_PLAIN[code]}"
    name, separator, value = code.partition(":")
    shown = shorten(visible(value).replace("\n", " "), 40)
    if separator and name == "prompt.character" and value in CHARACTERS:
        return f"items with {CHARACTERS[value]}"
    if separator and name in _WITH_VALUE:
        return "items " + _PLURAL.sub(r"1 \1", _WITH_VALUE[name].format(shown))
    if separator and name.startswith("covariate."):
        covariate = visible(name.removeprefix("covariate."))
        for ending, relation in ((".above", "above"), (".to", "at most")):
            if covariate.endswith(ending):
                return f"items whose {covariate.removesuffix(ending)} is {relation} {shown}"
        return f"items whose {covariate} is “{shown}”"
    raise UserError(
        f"{shorten(visible(code), 80)!r} is no code of a finding's feature: expected one such as 'answer.negative' or "
        "'prompt.word:not'. Make the run's findings again ('cgaps findings --make')."
    )


NAME_LIMIT = 60
"""Letters after which a name is cut in a sentence."""
COVARIATES = {"answer_position": "the place of the right option", "options": "the number of options"}
"""Words for what items are compared at equal values of; any other name (``length``, a column's) is its own word."""


def short_name(name: str) -> str:
    """Keep the last part of a folder's path; a name of the hub (``owner/model``) stays whole."""
    name = name.removeprefix("embedded:")
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def scored_name(manifest: Mapping[str, Any]) -> str:
    """Name the model whose scores a run's evidence rests on."""
    return short_name(str(manifest["scored_model"]))


def reading_sentence(manifest: Mapping[str, Any]) -> str:
    """Say by which model the items are read and what scores are set against; empty for a model's own plain scores.

    Nobody may think that the concepts are those of the model whose scores these are.
    """
    lens, scored = short_name(str(manifest["model"]["name"])), scored_name(manifest)
    sentences = []
    if lens != scored:
        sentences.append(f"Concepts are those by which {shorten(lens, 80)} reads the items.")
    outcome = manifest.get("outcome", {"kind": "score"})
    others = [shorten(short_name(name), 60) for name in outcome.get("against", ())]
    if outcome["kind"] == "peers":
        named = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        sentences.append(f"Its scores are taken against what its peers make of each item: {named}.")
    elif outcome["kind"] == "parsed":
        sentences.append("What follows is about whether a score could be read from its answers, not about the scores.")
    elif outcome["kind"] == "difference":
        sentences.append(f"Its scores are taken less those of {others[0]}.")
    return " ".join(sentences)


def _why(left_out: dict[str, int]) -> str:
    mixed = "the texts in which they are strongest have no meaning in common"
    if set(left_out) == {"mixed"}:
        return mixed
    looks = "they say what a text looks like, not what it is about"
    return f"{looks}, or {mixed}" if "mixed" in left_out else looks


def kinds_sentence(concepts: pl.DataFrame) -> str:
    """Count, by kind, the concepts that rankings leave out, and say if kinds are unknown; empty: all are contextual."""
    left_out = kind_counts(concepts.filter(pl.col("ranked").not_()))
    among = {kind: count for kind, count in kind_counts(concepts).items() if kind not in (CONTEXTUAL, "unknown")}
    sentences = []
    if left_out:
        what = "concept is" if sum(left_out.values()) == 1 else "concepts are"
        sentences.append(
            f"{_counted(left_out)} {what} left out: {_why(left_out)} (‘cgaps show --all-kinds’ ranks them too)."
        )
    elif among:
        sentences.append(f"Concepts of all kinds are ranked, {_counted(among)} among them.")
    unknown = kind_counts(concepts).get("unknown", 0)
    if unknown:
        sentences.append(
            f"The kind of {share_of(unknown, int(concepts['alive'].sum()))} alive concepts is not known, because no "
            "reference text shows how they go with tokens; they are ranked."
        )
    return " ".join(sentences)


def _counted(counts: Mapping[str, int]) -> str:
    parts = [f"{integer(count)} {kind}" for kind, count in counts.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def covariate_words(name: str) -> str:
    """Give the words for a property of items by which they are compared."""
    return COVARIATES.get(name, shorten(name, NAME_LIMIT))


def alike(evidence: Mapping[str, Any]) -> str:
    """Say among which items gaps are taken: ``at equal length``; empty where items are compared within benchmarks only.

    Parameters
    ----------
    evidence : mapping
        The manifest's ``evidence``.
    """
    words = [covariate_words(str(name)) for name in evidence.get("strata") or ()]
    if not words:
        return ""
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"at equal {listed}".replace("equal the ", "the same ")


def points(gap: float) -> str:
    """Write the size of a gap between scores in [0, 1] in points of a hundred: ``7 points``, ``0.6 points``."""
    size = 100 * abs(gap)
    text = f"{size:.1f}" if size < 1 else f"{size:.0f}"
    return f"{text} point" + ("" if text == "1" else "s")
