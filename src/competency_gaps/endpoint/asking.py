"""The ways of asking a language model: an endpoint, or a batch file out and answers in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from competency_gaps.config.asking import AskConfig
from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.batch import export_batch, import_batch
from competency_gaps.endpoint.budget import Cap, CostEstimate, Prices, estimate
from competency_gaps.endpoint.client import ask, check_installed
from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import UserError, argument
from competency_gaps.progress import Progress
from competency_gaps.text import plural, shorten, visible

FILE = "answers.jsonl"
ENDPOINT_FIELDS = {"base_url", "model", "key_env", "concurrency", "timeout", "retries", "structured"}
"""Keys of a configuration that are fields of :class:`Endpoint`."""
NAMELESS = "export"
"""Model name in exported requests if none is given; to be replaced before they are sent."""


@dataclass(frozen=True)
class Asking:
    """How a model is asked; made by :meth:`of`."""

    config: AskConfig
    endpoint: Endpoint | None
    """None: batch files."""
    cap: Cap
    answerer: str | None
    """Name that answers are kept under; None: the model that each imported answer names."""
    section: str = ""
    """Prefix of arguments' names in messages: ``judge.`` in a run's configuration."""

    @classmethod
    def of(cls, config: AskConfig, *, answerer: str | None = None, section: str = "") -> Asking:
        """Make the endpoint and its cap, or the way through batch files, that a configuration means.

        Parameters
        ----------
        answerer
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
        if config.base_url is not None:
            prices = None
            if config.price_in is not None and config.price_out is not None:
                prices = Prices(config.price_in, config.price_out)
            endpoint = Endpoint(**config.model_dump(include=ENDPOINT_FIELDS), prices=prices)
        return cls(config, endpoint, Cap(config.max_tokens, config.max_cost), config.model or answerer, section)

    @property
    def where(self) -> str:
        """Where answers come from."""
        return self.config.base_url or "batch"

    def check(self, progress: Progress) -> None:
        """Check, before other work takes hours, that an endpoint can be asked.

        Raises
        ------
        MissingExtraError
            If ``openai`` is not installed.
        UserError
            If nobody can confirm what may be spent.
        """
        if self.endpoint is not None:
            check_installed()
            if not self.config.yes and progress.confirm is None:
                raise UserError(self._nobody())

    def answers(
        self, requests: Sequence[Request], store: Path, progress: Progress, usable: Callable[[Answer], bool]
    ) -> dict[str, Answer] | None:
        """Answers by id of the request; None if the requests were only exported.

        Parameters
        ----------
        store
            Folder in which an endpoint's answers are kept, so that nothing is paid twice.
        usable
            Whether an answer, with the id of its request, can be used.
        """
        requests = self._sized(requests)
        if self.config.export is not None:
            export_batch(requests, self.answerer or NAMELESS, self.config.export, self.config.structured)
            return None
        if self.endpoint is None:
            return self._imported(requests, progress)
        kept = AnswerStore(store / FILE)
        for request in requests if self.config.again else ():
            key = request.key(self.endpoint.model)
            known = kept.get(key)
            if known is not None and not usable(replace(known, id=request.id)):
                kept.forget(key)
        expected = estimate(requests, self.endpoint.model, kept, self.endpoint.prices, self.config.structured)
        if expected.requests > expected.already_answered:
            self._confirm(expected, progress)
        answers = ask(requests, self.endpoint, kept, self.cap, progress)
        useless = sum(answer.answered and not usable(answer) for answer in answers.values())
        if useless:
            progress.say(
                f"{plural(useless, 'answer')} cannot be used, and {'is' if useless == 1 else 'are'} kept. Two ways "
                f"out: {self._argument('again')} asks for them once more; {self._argument('answer_tokens')} leaves "
                "room for longer answers, as models that think first need it "
                f"(now at most {max(request.max_tokens for request in requests):,} tokens)."
            )
        return answers

    def kept(self, requests: Sequence[Request], store: Path) -> dict[str, Answer]:
        """Answers that were imported earlier, by id of the request; none with an endpoint."""
        if self.endpoint is not None:
            return {}
        return kept_answers(self._sized(requests), store, self.answerer or NAMELESS)

    def _sized(self, requests: Sequence[Request]) -> Sequence[Request]:
        size = self.config.answer_tokens
        return requests if size is None else [replace(request, max_tokens=size) for request in requests]

    def keep(self, answers: Iterable[Answer], store: Path, usable: Callable[[Answer], bool]) -> None:
        """Store imported answers like an endpoint's, so that the files are needed only once.

        An unusable answer never replaces a usable one.
        """
        with AnswerStore(store / FILE).writing() as kept:
            for answer in answers if self.endpoint is None else ():
                known = kept.get(answer.key)
                useless = known is not None and not usable(replace(known, id=answer.id))
                if answer.answered and (known is None or (known != answer and (usable(answer) or useless))):
                    kept.add(answer)

    def _imported(self, requests: Sequence[Request], progress: Progress) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        # A file holds ids alone. Ids that hold a part of the question say that it answers these very requests.
        keys = {request.id: request.key(self.answerer or NAMELESS) for request in requests}
        unknown: list[str] = []
        for path in self.config.imports:
            read = import_batch(path)
            if read.dropped:
                progress.say(f"{path}: {read.dropped:,} lines are replaced by later ones of the same id")
            unknown += [id for id in read.answers if id not in keys]
            for id in [id for id in keys if id in read.answers]:
                answer = read.answers[id]
                answers[id] = replace(answer, key=keys[id], model=self.answerer or answer.model)
        if unknown:
            progress.say(
                f"{len(unknown):,} answers belong to no request and are left out, the first "
                f"{shorten(visible(unknown[0]), 80)!r}: they were made for other texts, labels or answers, or for what "
                "is not chosen now."
            )
        if len(answers) < len(keys):
            progress.say(f"{len(keys) - len(answers):,} of {len(keys):,} requests are not answered in the files")
        return answers

    def _argument(self, name: str) -> str:
        return argument(self.section + name)

    def _nobody(self) -> str:
        return (
            f"nobody can be asked whether to spend this: give {self._argument('yes')} (a cap: "
            f"{self._argument('max_tokens')}, {self._argument('max_cost')})."
        )

    def _confirm(self, expected: CostEstimate, progress: Progress) -> None:
        """Say what will be spent, and ask for consent unless it was given."""
        if self.config.yes:
            progress.say(expected.sentence())
        elif progress.confirm is None:
            raise UserError(f"{expected.sentence()} {self._nobody().capitalize()}")
        elif not progress.confirm(f"{expected.sentence()} Go on?"):
            raise UserError("nothing is asked and nothing is spent: the answer was no.")


def kept_answers(requests: Iterable[Request], store: Path, model: str) -> dict[str, Answer]:
    """Answers of a model that a folder keeps, by id of the request."""
    answers = AnswerStore(store / FILE)
    known = {request.id: answers.get(request.key(model)) for request in requests if len(answers)}
    return {id: replace(answer, id=id) for id, answer in known.items() if answer is not None}
