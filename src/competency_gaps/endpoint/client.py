"""Many requests to an OpenAI-compatible endpoint at once, each paid for once."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, wait

from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.budget import Cap, Meter
from competency_gaps.endpoint.endpoint import Endpoint, read_key
from competency_gaps.endpoint.loop import RequestLoop
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import MissingExtraError
from competency_gaps.progress import Progress
from competency_gaps.text import plural

_LISTENING = 0.2
"""Seconds after which Ctrl-C is noticed: with polars' handler, a wait without end is not interrupted."""


def ask(
    requests: Iterable[Request], endpoint: Endpoint, store: AnswerStore, cap: Cap | None, progress: Progress
) -> dict[str, Answer]:
    """Ask everything that the store has no answer to, many requests at once.

    Each answer is on the disk before anything else happens, so a run that is killed, capped or stopped loses at most
    what was in flight and goes on where it stood. Equal requests are asked once. Attempts that may be counted by the
    endpoint without an answer reaching us (timeouts, broken connections) are charged against the cap at their upper
    bound. The first interrupt (Ctrl-C) sends nothing more and waits for what is in flight, the second drops it.

    Retries are made here and not by the ``openai`` package: it cannot repeat an answer that is cut off, hides attempts
    from the cap, and waits at most 8 s on its own.

    Parameters
    ----------
    requests
        A collection is gone through lazily; another iterable is put into a list first.
    endpoint, store
        Where to ask, and where answers are kept.
    cap
        None: no limit. When it is reached, the run ends without error and says how many requests are left.
    progress
        Shows a bar and says what changes.

    Returns
    -------
    dict of str to Answer
        By id of the request: kept and new answers, and answers with ``error`` for requests that failed after all
        retries (not stored: asked again next time). Requests that a cap left unasked have no entry.

    Raises
    ------
    UserError
        If the endpoint refuses the key, account or address (401, 402, 403, 404), cannot be reached at all or asks to
        wait too long; if two different requests share an id; if another process writes to the store.
    MachineError
        If the disk is full.
    MissingExtraError
        If ``openai`` is not installed.
    """
    check_installed()
    key = read_key(endpoint.key_env)
    meter = Meter(cap, endpoint.prices)
    todo = requests if isinstance(requests, Collection) else list(requests)
    with store.writing(), progress.stage("asking", total=len(todo), unit="requests") as bar:
        loop = RequestLoop(todo, endpoint, key, store, meter, bar, progress.say)
        _drive(loop)
    _sum_up(loop, len(todo), progress)
    return loop.answers


def check_installed() -> None:
    """Refuse to go on without ``openai``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    if importlib.util.find_spec("openai") is None:
        raise MissingExtraError("openai", "label", "Asking a model over an endpoint")


def _drive(loop: RequestLoop) -> None:
    """Ask to the end, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(loop.run())
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        done = pool.submit(asyncio.run, loop.run())
        try:
            while not wait([done], timeout=_LISTENING).done:
                pass
            done.result()
        except KeyboardInterrupt:
            loop.halt_from_outside()
            raise


def _sum_up(loop: RequestLoop, total: int, progress: Progress) -> None:
    if loop.capped:
        left = total - loop.handled
        progress.say(
            f"The cap is reached ({loop.meter.text()} used): {plural(left, 'request')} of {total:,} left. What is "
            f"answered is kept; run again, with a higher cap if need be, to go on."
        )
    failed = [answer for answer in loop.answers.values() if answer.error is not None]
    if failed:
        progress.say(
            f"{plural(len(failed), 'request')} got no answer (the first: {failed[0].error}). "
            f"They are asked again on the next run."
        )
