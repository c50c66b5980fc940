"""Items that cannot be read: excluded one by one, until they are so many that the fault is not theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from competency_gaps.activations.extract import NOT_FINITE
from competency_gaps.errors import MachineError, UserError
from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.text import share_of


def check_unreadable(reasons: Sequence[Reason], items: int, where: str, lm: LanguageModel, *, share: float) -> None:
    """Stop where more than a share of the items cannot be read.

    Parameters
    ----------
    reasons
        Why, for each item that cannot be read.
    items
        All items that were to be read, those that can be read too.
    where
        What they are items of.
    share
        Largest share of the items that may be lacking, in [0, 1].

    Raises
    ------
    UserError, MachineError
        If more are lacking; the message has the commonest reason and what to do.
    """
    if len(reasons) <= share * items:
        return
    why = Counter(reason.code for reason in reasons).most_common(1)[0][0]
    alike = [reason for reason in reasons if reason.code == why]
    fault = f"{where}: {share_of(len(reasons), items)} items cannot be read"
    count = "all" if len(alike) == len(reasons) else f"{len(alike):,} of them"
    if why == NOT_FINITE.code:
        raise UserError(
            f"{fault}, {count} because their activations are not finite in {lm.identity['dtype']}: "
            f"set model.dtype to bfloat16 or float32, and take another folder."
        )
    if why == OUT_OF_MEMORY.code:
        raise MachineError(
            f"{fault}, {count} because memory ran out on each alone. Free some memory and run again: what is "
            f"finished is kept. Or take another folder and a lower model.max_length, which excludes long items."
        )
    raise UserError(
        f"{fault}, {count} because the model fails on them; the first: {alike[0]}. Take an installation and a model "
        f"that can read them, or leave such items out."
    )


def left_out_line(reasons: Sequence[Reason], items: int) -> str:
    """How many items are left out of the sample for the SAE's check, and why most of them are."""
    why = Counter(map(str, reasons)).most_common(1)[0][0]
    return f"gate: {len(reasons)} of {items} sampled items left out: {why}"


def excluded_line(benchmark: str, excluded: Sequence[PreparedItem], items: int) -> str:
    """How many of a benchmark's items are excluded, and why the first is."""
    return (
        f"{benchmark}: {len(excluded)} of {items} items excluded, the first {excluded[0].item.id!r}: "
        f"{excluded[0].excluded}"
    )
