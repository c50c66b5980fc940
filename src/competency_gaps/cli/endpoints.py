"""The ways in which commands ask a language model: an endpoint, or a batch file out and answers in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from competency_gaps.errors import UserError
from competency_gaps.text import plural, shorten, visible

if TYPE_CHECKING:
    from competency_gaps.endpoint import Answer, Cap, Endpoint, Request
    from competency_gaps.progress import Progress

NAMELESS = "export"
"""Model named in exported requests when none is given: whoever runs them puts in their own."""


ExportOption = Annotated[Path | None, typer.Option(help="Write the requests in OpenAI's Batch form; ask nobody.")]
ImportOption = Annotated[
    list[Path] | None, typer.Option("--import", help="Read answers to exported requests; may be repeated.")
]
ExplainerOption = Annotated[
    str | None, typer.Option(help="With --import: who answered; by default the model that each answer names.")
]
UrlOption = Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint, as http://localhost:8080/v1.")]
ModelOption = Annotated[str | None, typer.Option(help="Name of the model there.")]
KeyOption = Annotated[str, typer.Option(help="Environment variable that holds the key.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Requests in flight at once.")]
TimeoutOption = Annotated[float, typer.Option(help="Seconds that one attempt may take.")]
PriceInOption = Annotated[float | None, typer.Option(help="Money per million prompt tokens.")]
PriceOutOption = Annotated[float | None, typer.Option(help="Money per million answer tokens.")]
CapOption = Annotated[int | None, typer.Option(min=1, help="Cap on all tokens of this command.")]
CostOption = Annotated[float | None, typer.Option(help="Cap on the money of this command.")]
AnswerOption = Annotated[
    int | None, typer.Option(min=1, help="Most tokens of one answer, thinking included; by default as the step needs.")
]
AgainOption = Annotated[bool, typer.Option("--again", help="Ask once more where a kept answer cannot be used.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Spend without asking.")]

_WAYS = {"export": "--export", "import_": "--import", "base_url": "--base-url"}
_BELONGS = {
    "explainer": ("import_",),
    **dict.fromkeys(("model", "answer_tokens"), ("base_url", "export")),
    **dict.fromkeys(
        (
            "key_env",
            "concurrency",
            "timeout",
            "price_in",
            "price_out",
            "max_tokens",
            "max_cost",
            "again",
            "yes",
        ),
        ("base_url",),
    ),
}
"""Options by the ways of asking with which they mean something."""


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
        from competency_gaps.endpoint import AnswerStore, ask, estimate, export_batch

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
            _confirm(told.sentence(), yes=self.yes)
        found = ask(requests, self.endpoint, kept, self.cap, progress)
        useless = sum(answer.answered and not usable(answer) for answer in found.values())
        if useless:
            progress.say(
                f"{plural(useless, 'answer')} cannot be used, and {'is' if useless == 1 else 'are'} kept. Two ways "
                f"out: --again asks for them once more; --answer-tokens N asks with room for longer answers, as models "
                f"that think first need it (now at most {max(request.max_tokens for request in requests):,} tokens)."
            )
        return found

    def _imported(self, requests: Sequence[Request], progress: Progress) -> dict[str, Answer]:
        from competency_gaps.endpoint import import_batch, match_batch

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
                f"{shorten(visible(unknown[0]), 80)!r}: they were made for other exemplars or labels, or for concepts "
                "that are not chosen."
            )
        if len(found) < len(wanted):
            progress.say(f"{len(wanted) - len(found):,} of {len(wanted):,} requests are not answered in the files")
        return found


def given(context: typer.Context) -> list[str]:
    """The options about asking that stand on the command line, as they are written there."""
    return [_written(name) for name in (*_WAYS, *_BELONGS) if _stands(context, name)]


def asking(context: typer.Context) -> Asking | None:
    """Which way of asking a command line means; null: none.

    Parameters
    ----------
    context
        Of a command whose parameters ``export``, ``import_``, ``explainer``, ``base_url`` and so on have the option
        types of this module.

    Raises
    ------
    UserError
        If it means several ways at once, or has an option that means nothing with its way.
    """
    from competency_gaps.endpoint import Cap, Endpoint, Prices

    ways = [name for name in _WAYS if context.params[name]]
    if len(ways) > 1:
        raise UserError("give one of --export FILE, --import FILE, or --base-url with --model.")
    for name, belongs in _BELONGS.items():
        if _stands(context, name) and not set(ways) & set(belongs):
            wanted = " or ".join(_WAYS[way] for way in belongs)
            raise UserError(f"{_written(name)} means something only with {wanted}: add that, or leave it out.")
    if not ways:
        return None
    options: dict[str, Any] = context.params
    if options["export"]:
        tokens = options["answer_tokens"]
        return Asking(options["model"] or NAMELESS, "batch", export=options["export"], answer_tokens=tokens)
    if options["import_"]:
        return Asking(options["explainer"] or None, "batch", imported=tuple(options["import_"]))
    if not options["model"]:
        raise UserError("--base-url needs --model, the name of a model there.")
    price_in, price_out = options["price_in"], options["price_out"]
    if (price_in is None) != (price_out is None):
        raise UserError("give both --price-in and --price-out, or neither.")
    return Asking(
        options["model"],
        options["base_url"],
        endpoint=Endpoint(
            options["base_url"],
            options["model"],
            options["key_env"],
            concurrency=options["concurrency"],
            timeout=options["timeout"],
            prices=None if price_in is None else Prices(price_in, price_out),
        ),
        cap=Cap(options["max_tokens"], options["max_cost"]),
        yes=options["yes"],
        answer_tokens=options["answer_tokens"],
        again=options["again"],
    )


def _stands(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _written(name: str) -> str:
    return "--" + name.strip("_").replace("_", "-")


def _confirm(sentence: str, *, yes: bool) -> None:
    """Show what will be spent, and ask where there is a terminal to ask at."""
    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked whether to spend this: give --yes (a cap: --max-tokens, --max-cost).")
    typer.confirm("Go on?", abort=True)
