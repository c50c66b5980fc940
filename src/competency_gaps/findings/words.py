"""Features of items in plain words: the one place where a feature's code becomes a noun phrase."""

from __future__ import annotations

import re

from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible

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
