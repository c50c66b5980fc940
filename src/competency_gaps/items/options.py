"""Lettered options: append them to a stem, strip them from a prompt, and find the gold option."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any

LETTERS = string.ascii_uppercase
"""Letters of the options; no item can have more options than this in the lettered form."""


def option_block(choices: Sequence[str]) -> str:
    """Return up to 26 options as lines ``A. ...``, ``B. ...``; options of several lines are unchanged."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS[: len(choices)], choices, strict=True))


def with_options(stem: str, choices: Sequence[str]) -> str:
    """Return the stem, an empty line, and the lettered options."""
    return f"{stem}\n\n{option_block(choices)}"


def asked(prompt: str, choices: Sequence[str] | None) -> str:
    """Return the prompt with its options, unless it already contains them; more than 26 are listed without letters."""
    missing = not_in(prompt, choices)
    if not missing:
        return prompt
    return with_options(prompt, missing) if len(missing) <= len(LETTERS) else "\n".join((prompt, "", *missing))


def not_in(prompt: str, choices: Sequence[str] | None) -> Sequence[str] | None:
    """Return the options to show beside a prompt; None if it already contains all of them, in order."""
    start = 0
    for choice in choices or ():
        # A whole word or number: "1" does not stand in "12".
        match = re.compile(rf"(?<!\w){re.escape(choice.strip())}(?!\w)").search(prompt, start)
        if match is None:
            return choices
        start = match.end()
    return None


def stem(prompt: str) -> str:
    """Return a prompt without the lettered options at its end, whatever they say."""
    return prompt.rpartition("\n\nA. ")[0] or prompt


def without_options(prompt: str, choices: Sequence[str]) -> str:
    """Return the stem of a prompt that ends in the lettered options; any other prompt unchanged.

    The block is stripped only if its letters and texts are exactly those of ``choices``.

    Raises
    ------
    ValueError
        If the prompt ends in lettered options that are not ``choices``.
    """
    if len(choices) <= len(LETTERS):
        block = option_block(choices)
        text = prompt.rstrip()
        # The last option may itself end in white space.
        for end in (prompt, text):
            for tail in (block, block.rstrip()):
                head = end.removesuffix(tail)
                if head != end and (not head or head.endswith("\n")):
                    return head.rstrip()
    last = re.split(r"\n\s*\n", prompt)[-1]
    if re.match(r"\s*A[.)] ", last) and re.search(r"^\s*B[.)] ", last, flags=re.MULTILINE):
        raise ValueError(f"the prompt ends in lettered options that differ from 'choices': {last[:200]!r}")
    return prompt


def gold_index(answer: Any, choices: Sequence[str], *, labels: Sequence[str] = (), untyped: bool = False) -> int:
    """Return the 0-based index of the gold option.

    Parameters
    ----------
    answer
        A 0-based index, an option's letter, one of ``labels``, or the text of an option.
    labels
        The source's names of the options, e.g. ``["1", "2", "3", "4"]``; they take precedence over letters.
    untyped
        The source has no types (CSV): a text of digits may be an index.

    Raises
    ------
    ValueError
        If the answer matches no option or several. A text of digits from a typed source is not an index: it may count
        from 0 or from 1.
    """
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    if isinstance(answer, int) and not isinstance(answer, bool):
        if not 0 <= answer < len(choices):
            raise ValueError(f"answer index {answer} is out of range: expected 0 to {len(choices) - 1}")
        return answer
    text = str(answer).strip()
    meant = _meant(text, choices, labels, untyped)
    if len(meant) == 1:
        return meant.pop()
    if meant:
        names = " or ".join(f"{index} ({choices[index]!r})" for index in sorted(meant))
        raise ValueError(f"answer {text!r} is ambiguous: it means option {names}. Give the 0-based index as a number")
    raise ValueError(
        f"answer {text!r} is not a 0-based index (a number), a letter ({LETTERS[0]} to "
        f"{LETTERS[min(len(choices), len(LETTERS)) - 1]}) or the text of an option: {list(choices)}. "
        "If the source uses other names for its options, map 'labels' to them"
    )


def _meant(text: str, choices: Sequence[str], labels: Sequence[str], untyped: bool) -> set[int]:
    """Return the indices of all options that an answer can mean."""
    if text in labels:
        return {index for index, label in enumerate(labels) if label == text}
    stripped = [choice.strip() for choice in choices]
    meant = {index for index, choice in enumerate(stripped) if choice == text}
    if not meant:
        meant = {index for index, choice in enumerate(stripped) if choice.casefold() == text.casefold()}
    letter = re.fullmatch(r"\(?([A-Z])[.)]?", text)
    if letter and LETTERS.index(letter[1]) < len(choices):
        meant.add(LETTERS.index(letter[1]))
    if untyped and re.fullmatch(r"[0-9]+", text) and int(text) < len(choices):
        meant.add(int(text))
    return meant
