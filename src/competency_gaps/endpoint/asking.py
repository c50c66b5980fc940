"""The ways of asking a language model: an endpoint, or a batch file out and answers in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.batch import export_batch, import_batch, match_batch
from competency_gaps.endpoint.budget import Cap, estimate
from competency_gaps.endpoint.client import ask
from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.text import plural, shorten, visible

NAMELESS = "export"
"""Model named in exported requests when none is given: whoever runs them puts in their own."""


@dataclass(frozen=True)
class Asking:
    """One way of asking."""

    who: str | None
    """Who answers; null: the model that each imported answer names."""
    where: str
    """Where answers come from."""
    export: Path | None = None
    imported: tuple[Path, ...] = ()
    endpoint: Endpoint | None = None
    cap: Cap | None = None
    yes: bool = False
    answer_tokens: int | None = None
    """Most tokens of an answer; null: as each request says."""
    again: bool = False
    """Whether kept answers that cannot be used are asked for once more."""
    prefix: str = "--"
    """What the options in advice begin with, e.g. ``--judge-``."""

    def answers(
        self, requests: Sequence[Request], store: Path, progress: Progress, usable: Callable[[Answer], bool]
    ) -> dict[str, Answer] | None:
        """Answers by id of the request; None if the requests were only written down.

        Parameters
        ----------
        store
            Folder in which an endpoint's answers are kept, so that nothing is paid twice.
        usable
            Whether an answer, with the id of its request, says something.
        """
        if self.answer_tokens is not None:
            requests = [replace(request, max_tokens=self.answer_tokens) for request in requests]
        if self.export is not None:
            export_batch(requests, self.who or NAMELESS, self.export)
            return None
        if self.endpoint is None:
            return self._imported(requests, progress)
        store.mkdir(parents=True, exist_ok=True)
        kept = AnswerStore(store / "answers.jsonl")
        for request in requests if self.again else ():
            key = request.key(self.endpoint.model)
            known = kept.get(key)
            if known is not None and not usable(replace(known, id=request.id)):
                kept.forget(key)
        told = estimate(requests, self.endpoint.model, kept, self.endpoint.prices)
        if told.requests > told.already_answered:
            confirm(told.sentence(), yes=self.yes, prefix=self.prefix)
        found = ask(requests, self.endpoint, kept, self.cap, progress)
        useless = sum(answer.answered and not usable(answer) for answer in found.values())
        if useless:
            progress.say(
                f"{plural(useless, 'answer')} cannot be used, and {'is' if useless == 1 else 'are'} kept. Two ways "
                f"out: {self.prefix}again asks for them once more; {self.prefix}answer-tokens N asks with room for "
                "longer answers, as models that think first need it "
                f"(now at most {max(request.max_tokens for request in requests):,} tokens)."
            )
        return found

    def _imported(self, requests: Sequence[Request], progress: Progress) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        wanted = {request.id for request in requests}
        unknown: list[str] = []
        for path in self.imported:
            read = import_batch(path)
            if read.dropped:
                progress.say(f"{path}: {read.dropped:,} lines are replaced by later ones of the same id")
            matched = match_batch(read, requests, self.who or NAMELESS)
            unknown += matched.unknown
            found |= {key: replace(answer, model=self.who or answer.model) for key, answer in matched.answers.items()}
        if unknown:
            progress.say(
                f"{len(unknown):,} answers belong to no request and are left out, the first "
                f"{shorten(visible(unknown[0]), 80)!r}: they were made for other texts, labels or answers, or for what "
                "is not chosen now."
            )
        if len(found) < len(wanted):
            progress.say(f"{len(wanted) - len(found):,} of {len(wanted):,} requests are not answered in the files")
        return found


def confirm(sentence: str, *, yes: bool, prefix: str = "--") -> None:
    """Show what will be spent, and ask where there is a terminal to ask at.

    Raises
    ------
    UserError
        If nobody can be asked.
    """
    import typer
    from rich.console import Console

    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            f"nobody can be asked whether to spend this: give {prefix}yes (a cap: {prefix}max-tokens, "
            f"{prefix}max-cost)."
        )
    typer.confirm("Go on?", abort=True)
