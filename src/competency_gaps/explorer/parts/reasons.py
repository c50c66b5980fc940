"""Why items have no score and records became no items: what of it may be told where texts are left out.

A reason may quote a log's record, a judge's answer or an error, with a piece of a text in it. So a redacted part tells
only sentences that this package writes itself.
"""

from __future__ import annotations

import re

NOT_TOLD = "not told"
KNOWN = frozenset(
    {
        "excluded",
        "unscored",
        # items
        "the item's own text is empty.",
        "a chat of several messages, but the tokenizer has no chat template to make a text of it.",
        "a log-probability is not finite",
        "the two sentences share no word after they differ",
        "the source gives no score",
        "the policy 'none' scores nothing",
        "no score",
        "the score is NaN",
        "the score is outside [0, 1]",
        # judges
        "no judge was asked",
        "the response is empty",
        "the response is cut off inside the model's thinking",
        "the summary states nothing",
        "the baseline has no answer to this item",
        # records
        "it holds half of a character (a lone surrogate), which nothing reads",
        "its own text is empty: all that the model reads is the option",
        "the document was read before",
        "the same instance and trial was there before",
        "the row holds no prompt",
        "the entry holds no prompt",
        "the record holds no prompt",
        "the request holds no prompt",
        "the prompt is empty",
        "the prompt is no text",
        "the chat messages hold no text of a user",
        "the line is no judgement (no id, or no games)",
        "the same item was judged before in this file",
        "the question is not there (no question.jsonl, and the judge was asked in another form)",
        "the prompt holds more than text (an image, a recording)",
        "the prompt holds more than text (an image, a document)",
        "no user turn is in the prompt",
        "the sample has no id",
        "the same sample and epoch was there before",
        "no user message stands before the first answer",
        "a tool's message stands before the first answer",
        "the same attempt was there before",
        "the request is no object",
        "the request names no instance",
        "request for calibration",
        "the prompt has pictures or sounds",
    }
)
"""Whole reasons that this package writes."""
BEGINNINGS = (
    "the judge's answer cannot be used",
    "its verifier refuses its own answer",
    "no judge was asked",
)
"""Of reasons that go on with words of somebody else; only these are told."""
_NUMBERED = (
    re.compile(r"longer than the context: [0-9,]+(?: \+ [0-9,]+)? > [0-9,]+ tokens"),
    re.compile(r"the (?:comparison|verification) took longer than [0-9.]+ s"),
    re.compile(r"[12] of 2 games without a usable verdict"),
)
"""Reasons with numbers in them, up to where they may quote a text."""


def told(reason: str) -> str:
    """A reason without what it may quote of a text; ``NOT_TOLD`` where it is none of this package's.

    Parameters
    ----------
    reason : str
        Of ``excluded``, ``unscored``, or a record that was left out.
    """
    if reason in KNOWN:
        return reason
    for pattern in _NUMBERED:
        if found := pattern.match(reason):
            return found[0]
    return next((known for known in BEGINNINGS if reason.startswith(known)), NOT_TOLD)
