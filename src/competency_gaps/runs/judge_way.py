"""From a judge's configuration to the way in which it is asked."""

from __future__ import annotations

import sys

from competency_gaps.config import JudgeConfig
from competency_gaps.endpoint import Asking, Cap, Endpoint, Prices
from competency_gaps.endpoint.asking import NAMELESS
from competency_gaps.errors import MissingExtraError, UserError


def way_of(config: JudgeConfig, last: str | None) -> Asking:
    """How a judge is asked.

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
    assert config.url is not None and config.model is not None
    prices = None
    if config.price_in is not None and config.price_out is not None:
        prices = Prices(config.price_in, config.price_out)
    if config.max_cost is not None and prices is None:
        raise UserError("the judge's 'max_cost' needs 'price_in' and 'price_out'. Give them, or cap 'max_tokens'.")
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
