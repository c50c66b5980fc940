"""Collect items with unique ids; epochs of an item are merged, because they ask the same question."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from competency_gaps.errors import UserError
from competency_gaps.items.item import Item


class _Epoch(NamedTuple):
    item: Item
    name: str | None
    """None: the item is asked once."""
    where: str


class ItemCollector:
    """Collects a source's items in their order."""

    def __init__(self) -> None:
        self._epochs: dict[str, list[_Epoch]] = {}

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
        earlier = self._epochs.setdefault(item.id, [])
        if any(epoch is None or other.name in (None, epoch) for other in earlier):
            raise UserError(
                f"{where}: the id {item.id!r} was already used at {earlier[0].where}. Ids must be unique in a "
                f"benchmark: leave the field out to number the items, or give a field 'epoch' if an item was asked "
                f"several times."
            )
        if epoch is not None and item.policy not in (None, "imported"):
            raise UserError(
                f"{where}: 'epoch' is for scores that come with the items, but the policy is {item.policy!r} and the "
                f"model is asked once. Leave 'epoch' out, or set the policy 'imported'."
            )
        if earlier and _asked(earlier[0].item) != _asked(item):
            raise UserError(
                f"{where}: epoch {epoch!r} of the id {item.id!r} asks another question than the first epoch (another "
                "prompt, messages, choices, answer, group or metadata). Give other questions ids of their own."
            )
        earlier.append(_Epoch(item, epoch, where))

    def items(self) -> list[Item]:
        """Every item once: its score is the mean over its scored epochs, its response the first of theirs."""
        return [_merged([epoch.item for epoch in epochs]) for epochs in self._epochs.values()]


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
