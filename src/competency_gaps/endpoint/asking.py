"""The ways of asking a language model: an endpoint, or a batch file out and answers in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from competency_gaps.config.asking import AskConfig
from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.batch import export_batch, import_batch, match_batch
from competency_gaps.endpoint.budget import Cap, Estimate, Prices, estimate
from competency_gaps.endpoint.client import ask, check_installed
from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.text import plural, shorten, visible

NAMELESS = "export"
"""Model named in exported requests when none is given: whoever runs them puts in their own."""


@dataclass(frozen=True)
class Asking:
    """How a model is asked; made by :meth:`of`."""

    config: AskConfig
    endpoint: Endpoint | None
    """None: batch files."""
    cap: Cap
    who: str | None
    """Who answers; None: the model that each imported answer names."""
    prefix: str = "--"
    """What the options in advice begin with, e.g. ``--judge-``."""

    @classmethod
    def of(cls, config: AskConfig, *, who: str | None = None, prefix: str = "--") -> Asking:
        """Make the endpoint and its cap, or the way through batch files, that a configuration means.

        Parameters
        ----------
        who
            Name that answers of batch files are kept under where the configuration names no model.

        Raises
        ------
        UserError
            If a file of answers is missing, or a value is out of range.
        """
        for path in config.imports:
            if not path.is_file():
                raise UserError(f"the answers {str(path)!r}: there is no such file.")
        endpoint = None
        if config.base_url is not None and config.model is not None:
            prices = None
            if config.price_in is not None and config.price_out is not None:
                prices = Prices(config.price_in, config.price_out)
            endpoint = Endpoint(
                config.base_url,
                config.model,
                config.key_env,
                concurrency=config.concurrency,
                timeout=config.timeout,
                retries=config.retries,
                structured=config.structured,
                prices=prices,
            )
        return cls(config, endpoint, Cap(config.max_tokens, config.max_cost), config.model or who, prefix)

    @property
    def where(self) -> str:
        """Where answers come from."""
        return self.config.base_url or "batch"

    def check(self, progress: Progress) -> None:
        """Find out now, and not after hours of other work, whether an endpoint can be asked.

        Raises
        ------
        MissingExtraError
            If ``openai`` is not installed.
        UserError
            If nobody can be asked whether to spend.
        """
        if self.endpoint is not None:
            check_installed()
            self._check_can_ask(progress)

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
        if self.config.answer_tokens is not None:
            requests = [replace(request, max_tokens=self.config.answer_tokens) for request in requests]
        if self.config.export is not None:
            export_batch(requests, self.who or NAMELESS, self.config.export, self.config.structured)
            return None
        if self.endpoint is None:
            return self._imported(requests, progress)
        store.mkdir(parents=True, exist_ok=True)
        kept = AnswerStore(store / "answers.jsonl")
        for request in requests if self.config.again else ():
            key = request.key(self.endpoint.model)
            known = kept.get(key)
            if known is not None and not usable(replace(known, id=request.id)):
                kept.forget(key)
        expected = estimate(requests, self.endpoint.model, kept, self.endpoint.prices, self.config.structured)
        if expected.requests > expected.already_answered:
            self._confirm(expected, progress)
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
        for path in self.config.imports:
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

    def _check_can_ask(self, progress: Progress) -> None:
        if not self.config.yes and not progress.can_ask:
            raise UserError(
                f"nobody can be asked whether to spend this: give {self.prefix}yes (a cap: {self.prefix}max-tokens, "
                f"{self.prefix}max-cost)."
            )

    def _confirm(self, expected: Estimate, progress: Progress) -> None:
        """Show what will be spent, and ask where there is a terminal to ask at."""
        progress.console.print(expected.sentence(), highlight=False, markup=False, soft_wrap=True)
        self._check_can_ask(progress)
        if not self.config.yes and not progress.confirm("Go on?"):
            raise UserError("nothing is asked and nothing is spent: that was the answer at the terminal.")
