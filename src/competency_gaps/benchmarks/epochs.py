"""Collect items with unique ids; epochs of an item are merged, because they ask the same question."""

from __future__ import annotations

from dataclasses import replace

from competency_gaps.errors import UserError
from competency_gaps.items.item import Item


class ItemCollector:
    """Collects a source's items in their order."""

    def __init__(self) -> None:
        self._epochs: dict[str, list[Item]] = {}
        self._first: dict[str, str] = {}
        self._seen: set[tuple[str, str | None]] = set()

    def add(self, item: Item, epoch: str | None, where: str) -> None:
        """Take an item.

        Parameters
        ----------
        epoch
            Name of the repeat; None: the item is asked once.
        where
            File and line, for messages.

        Raises
        ------
        UserError
            If the id was used before, unless both are epochs of one item that ask the same.
        """
        known = self._epochs.get(item.id)
        once = epoch is None or (item.id, None) in self._seen
        if known and (once or (item.id, epoch) in self._seen):
            raise UserError(
                f"{where}: the id {item.id!r} was already used at {self._first[item.id]}. Ids must be unique in a "
                f"benchmark: leave the field out to number the items, or give a field 'epoch' if an item was asked "
                f"several times."
            )
        if epoch is not None and item.policy not in (None, "imported"):
            raise UserError(
                f"{where}: 'epoch' is for scores that come with the items, but the policy is {item.policy!r} and the "
                f"model is asked once. Leave 'epoch' out, or set the policy 'imported'."
            )
        if known and _asked(known[0]) != _asked(item):
            raise UserError(
                f"{where}: epoch {epoch!r} of the id {item.id!r} asks another question than the first epoch (another "
                "prompt, messages, choices, answer, group or metadata). Give other questions ids of their own."
            )
        self._first.setdefault(item.id, where)
        self._seen.add((item.id, epoch))
        self._epochs.setdefault(item.id, []).append(item)

    def items(self) -> list[Item]:
        """Every item once: its score is the mean over its scored epochs, its response the first of theirs."""
        return [_merged(epochs) for epochs in self._epochs.values()]


def _asked(item: Item) -> tuple[object, ...]:
    return (item.prompt, item.messages, item.choices, item.answer, item.group, item.metadata)


def _merged(epochs: list[Item]) -> Item:
    if len(epochs) == 1:
        return epochs[0]
    scores = [item.score for item in epochs if item.score is not None]
    response = next((item.response for item in epochs if item.response is not None), None)
    return replace(
        epochs[0], response=response, score=sum(scores) / len(scores) if scores else None, epochs=len(epochs)
    )
