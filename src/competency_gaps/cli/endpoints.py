"""The ways in which commands ask a language model: an endpoint, or a batch file out and answers in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.endpoint import Answer, Cap, Endpoint, Request
    from competency_gaps.progress import Progress

NAMELESS = "export"
"""Model named in exported requests when none is given: whoever runs them puts in their own."""


@dataclass(frozen=True)
class Asking:
    """One way of asking."""

    who: str
    """Who answers."""
    where: str
    """Where answers come from."""
    export: Path | None = None
    imported: tuple[Path, ...] = ()
    endpoint: Endpoint | None = None
    cap: Cap | None = None
    yes: bool = False

    def answers(self, requests: Sequence[Request], store: Path, progress: Progress) -> dict[str, Answer] | None:
        """Answers by id of the request; None if the requests were only written down.

        Parameters
        ----------
        store
            Folder in which an endpoint's answers are kept, so that nothing is paid twice.
        """
        from competency_gaps.endpoint import AnswerStore, ask, estimate, export_batch

        if self.export is not None:
            export_batch(requests, self.who, self.export)
            return None
        if self.endpoint is None:
            return self._imported(requests, progress)
        store.mkdir(parents=True, exist_ok=True)
        kept = AnswerStore(store / "answers.jsonl")
        told = estimate(requests, self.endpoint.model, kept, self.endpoint.prices)
        if told.requests > told.already_answered:
            _confirm(told.sentence(), yes=self.yes)
        return ask(requests, self.endpoint, kept, self.cap, progress)

    def _imported(self, requests: Sequence[Request], progress: Progress) -> dict[str, Answer]:
        from competency_gaps.endpoint import import_batch, match_batch

        found: dict[str, Answer] = {}
        wanted = {request.id for request in requests}
        unknown: list[str] = []
        for path in self.imported:
            read = import_batch(path)
            if read.dropped:
                progress.say(f"{path}: {read.dropped:,} lines are replaced by later ones of the same id")
            matched = match_batch(read, requests, self.who)
            unknown += matched.unknown
            found |= {key: replace(answer, model=answer.model or self.who) for key, answer in matched.answers.items()}
        if unknown:
            progress.say(
                f"{len(unknown):,} answers belong to no request and are left out, the first {unknown[0][:80]!r}: they "
                f"were made for other exemplars or labels, or for concepts that are not chosen."
            )
        if len(found) < len(wanted):
            progress.say(f"{len(wanted) - len(found):,} of {len(wanted):,} requests are not answered in the files")
        return found


def asking(
    export: Path | None,
    imported: list[Path] | None,
    explainer: str | None,
    base_url: str | None,
    model: str | None,
    key_env: str,
    concurrency: int,
    timeout: float,
    prices: tuple[float | None, float | None],
    max_tokens: int | None,
    max_cost: float | None,
    yes: bool,
) -> Asking:
    """Which way a command line means.

    Raises
    ------
    UserError
        If it means none, or several at once.
    """
    from competency_gaps.endpoint import Cap, Endpoint, Prices

    ways = [bool(export), bool(imported), bool(base_url)]
    if sum(ways) != 1:
        raise UserError("give one of --export FILE, --import FILE, or --base-url with --model.")
    if export is not None:
        return Asking(model or NAMELESS, "batch", export=export)
    if imported:
        if not explainer:
            raise UserError("--import needs --explainer: who answered stands beside every label.")
        return Asking(explainer, "batch", imported=tuple(imported))
    if base_url is None or not model:
        raise UserError("--base-url needs --model, the name of a model there.")
    if (prices[0] is None) != (prices[1] is None):
        raise UserError("give both --price-in and --price-out, or neither.")
    priced = Prices(prices[0], prices[1]) if prices[0] is not None and prices[1] is not None else None
    endpoint = Endpoint(base_url, model, key_env, concurrency=concurrency, timeout=timeout, prices=priced)
    return Asking(model, base_url, endpoint=endpoint, cap=Cap(max_tokens, max_cost), yes=yes)


def _confirm(sentence: str, *, yes: bool) -> None:
    """Show what will be spent, and ask where there is a terminal to ask at."""
    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked whether to spend this: give --yes (a cap: --max-tokens, --max-cost).")
    typer.confirm("Go on?", abort=True)
