"""Options about asking a language model, and the way of asking that they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.endpoint.asking import Asking


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
    from competency_gaps.endpoint.asking import NAMELESS, Asking

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
