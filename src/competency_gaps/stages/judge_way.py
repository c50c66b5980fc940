"""From a judge's configuration to the way in which it is asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.config import JudgeConfig
from competency_gaps.endpoint import Asking, Cap, Endpoint, Prices
from competency_gaps.endpoint.asking import NAMELESS
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.text import shorten, visible


def last_judge(config: JudgeConfig | None, judges: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Which of the judges that a run knows is meant; empty: none of them.

    Parameters
    ----------
    config
        Null: the judge whose answers are kept.
    judges
        What was kept of each, with ``model`` and ``asked`` (false: requests were only written down).

    Raises
    ------
    UserError
        If nobody is named and there are several.
    """
    if config is not None and config.model is not None:
        return next((dict(one) for one in judges if one["model"] == config.model), {})
    known = list(judges) if config is not None else [one for one in judges if one["asked"]] or list(judges)
    if len(known) > 1:
        names = ", ".join(repr(shorten(visible(str(one["model"])), 60)) for one in known)
        raise UserError(
            f"{str(folder)!r} has answers or requests of several judges, {names}: name one with --judge-model (or "
            "judge.model). On its own the option takes what that judge has answered."
        )
    return dict(known[0]) if known else {}


def way_of(config: JudgeConfig, last: str | None) -> Asking | None:
    """How a judge is asked; null: it is not, and its kept answers count.

    Parameters
    ----------
    last
        Who judged before; taken where the configuration names nobody.

    Raises
    ------
    UserError
        If a file is missing, a cost is capped without prices, or a value cannot be meant.
    """
    if config.export is not None:
        return Asking(config.model or last or NAMELESS, "batch", export=config.export)
    if config.imports:
        for path in config.imports:
            if not path.is_file():
                raise UserError(f"the judge's answers {str(path)!r}: there is no such file.")
        return Asking(config.model or last or NAMELESS, "batch", imported=tuple(config.imports))
    if config.url is None:
        return None
    assert config.model is not None
    prices = None
    if config.price_in is not None and config.price_out is not None:
        prices = Prices(config.price_in, config.price_out)
    if config.max_cost is not None and prices is None:
        raise UserError(
            "the judge's 'max_cost' needs 'price_in' and 'price_out' (--judge-price-in, --judge-price-out). Give them, "
            "or cap 'max_tokens'."
        )
    endpoint = Endpoint(
        config.url,
        config.model,
        config.key_env,
        concurrency=config.concurrency,
        timeout=config.timeout,
        prices=prices,
    )
    return Asking(
        config.model,
        config.url,
        endpoint=endpoint,
        cap=Cap(config.max_tokens, config.max_cost),
        yes=config.yes,
        again=config.again,
        prefix="--judge-",
    )


def check_askable(way: Asking) -> None:
    """Find out now, and not after hours of the model's work, whether an endpoint can be asked.

    Raises
    ------
    MissingExtraError
        If ``openai`` is not installed.
    UserError
        If nobody can be asked whether to spend.
    """
    try:
        import openai  # noqa: F401
    except ImportError:
        raise MissingExtraError("openai", "label", "Asking a judge over an endpoint") from None
    if not way.yes and not sys.stdin.isatty():
        raise UserError(
            "nobody can be asked whether to spend what the judge costs: give --judge-yes (or judge.yes: true), with a "
            "cap such as --judge-max-tokens if need be."
        )
