"""``POST /chat``: a question in plain language, answered by a model that looks things up in the run.

The model sees the question, the earlier turns and results of the queries of
:mod:`competency_gaps.explorer.queries`; each number of its answer is then looked up in those results.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from competency_gaps.endpoint.endpoint import Endpoint, connect, is_here, proxy_of, read_key
from competency_gaps.errors import MissingExtraError, UserError, argument
from competency_gaps.explorer import queries
from competency_gaps.explorer.opened import Opened
from competency_gaps.explorer.parts import as_json
from competency_gaps.explorer.parts.records.server import (
    AnswerEvent,
    ChatEvent,
    ChatRequest,
    ChatState,
    FailureEvent,
    QueryEvent,
)
from competency_gaps.explorer.queries import QUERIES
from competency_gaps.explorer.queries.trace import trace
from competency_gaps.explorer.server.chat_model import ANSWER_TOKENS, Call, ChatError, ChatModel, Step, called_in_text
from competency_gaps.text import visible

ROUNDS = 8
"""Most rounds of queries for one question [ours]."""
TURNS = 12
"""Earlier messages that are sent with a question [ours]."""
TURN_LENGTH = 8_000
"""Most characters of an earlier message; a longer question is refused [ours]."""
AT_ONCE = 4
"""Questions that are answered at once; others wait [ours]."""

REMINDER = {
    "role": "user",
    "content": "You have asked no query, so nothing of this is known to be from the run. Ask a query now: answer with "
    'tool calls alone, such as {"name": "findings", "arguments": {}}. Only if the question is not about the run, '
    "answer it again.",
}
"""Follows an answer that looked nothing up; small models invent such answers."""
REMINDED_OF = 1_000
"""Characters of that answer that are repeated to the model: some are endless."""
_WHERE = (
    "Questions go to {place}, and with them the last turns and the results of the queries that answer them: names, "
    "labels, numbers, pieces of prompts, responses and answers (up to 3,000 characters each), the run's settings, its "
    "command line and its folder. {rest}"
)
_REQUEST = TypeAdapter(ChatRequest)
log = logging.getLogger(__name__)


def chat_state(endpoint: Endpoint | None) -> ChatState:
    """Say whether questions can be asked, and where they go; with None they cannot."""
    if endpoint is None:
        options = f"{argument('base_url')} and {argument('model')}"
        note = f"This explorer was started without a model ({options}), so it answers no questions."
        return ChatState(configured=False, model=None, host=None, note=f"{note} Nothing leaves this machine.")
    host = visible(urlsplit(endpoint.base_url).netloc)
    proxy = proxy_of(endpoint.base_url)
    if is_here(endpoint.base_url):
        note = _WHERE.format(place=f"a server on this machine ({host})", rest="Nothing leaves this machine.")
    else:
        through = "" if proxy is None else f" through the proxy {visible(proxy)}"
        note = _WHERE.format(place=host + through, rest="Nothing else leaves this machine.")
    return ChatState(configured=True, model=visible(endpoint.model), host=host, note=note)


def chat_route(opened: Sequence[Opened], endpoint: Endpoint, answer_tokens: int | None = None) -> Route:
    """The route ``/chat``, which answers with one JSON object a line (``ChatEvent`` of the page).

    Parameters
    ----------
    opened
        The runs that questions may be about.
    endpoint
        Where the model is.
    answer_tokens
        Most tokens of one step of the model; None: ``ANSWER_TOKENS``.

    Raises
    ------
    MissingExtraError
        If ``openai`` is not installed.
    UserError
        If the key is malformed.
    """
    if importlib.util.find_spec("openai") is None:
        raise MissingExtraError("openai", "explore", "Asking a model over an endpoint")
    read_key(endpoint.key_env)
    runs = {run.key: run for run in opened}
    room = asyncio.Semaphore(AT_ONCE)

    async def chat(request: Request) -> StreamingResponse:
        asked = _read(await request.body())
        run = runs.get(asked.run)
        if run is None:
            raise HTTPException(404, "There is no such run in this explorer.")

        async def lines() -> AsyncIterator[bytes]:
            async with room:
                async for event in converse(run, _history(asked), endpoint, answer_tokens or ANSWER_TOKENS):
                    yield as_json(event) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return Route("/chat", chat, methods=["POST"])


async def converse(
    run: Opened, messages: Sequence[Mapping[str, str]], endpoint: Endpoint, answer_tokens: int
) -> AsyncIterator[ChatEvent]:
    """Answer the last message.

    Parameters
    ----------
    run
        The run that the question is about.
    messages
        ``role`` and ``content`` of the turns so far; the last is the question.
    endpoint
        Where the model is.
    answer_tokens
        Most tokens of one step of the model.

    Yields
    ------
    ChatEvent
        Each query as soon as it has a result, then the answer or an error.
    """
    results: list[tuple[int, Any]] = []
    before: Step | None = None
    talk: list[dict[str, Any]] = [{"role": "system", "content": _prompt()}, *map(dict, messages)]
    model = ChatModel(endpoint, tools(), answer_tokens)
    key = read_key(endpoint.key_env)
    try:
        async with connect(endpoint, key) as client:
            for number in range(ROUNDS + 1):
                try:
                    step = await model.step(client, talk, last=number == ROUNDS)
                except ChatError:
                    if before is None or results:
                        raise
                    step = before
                if not step.calls and not results and before is None and step.text.strip():
                    before = step
                    talk += [{"role": "assistant", "content": step.text[:REMINDED_OF]}, dict(REMINDER)]
                    continue
                if not step.calls and not step.text.strip() and not results:
                    step = before or step
                if not step.calls:
                    yield await _answer(step, results, answer_tokens)
                    return
                if number == ROUNDS:
                    raise ChatError(
                        f"The model asked for more than {ROUNDS} rounds of queries. Ask something narrower."
                    )
                talk.append(step.message())
                for call in step.calls:
                    event = await _query(run, call, len(results) + 1)
                    results.append((event.id, event.result))
                    talk.append(_tool_message(call, event))
                    yield event
    except (ChatError, UserError) as error:
        yield FailureEvent("error", visible(str(error)))
    except Exception as error:  # noqa: BLE001 - see below
        # The response has begun, so a failure can be reported only in its body.
        log.error("%s", visible(key.hide("".join(traceback.format_exception(error)))))
        yield FailureEvent("error", f"The server failed ({type(error).__name__}); its terminal says more.")


def tools() -> list[dict[str, Any]]:
    """The queries as tools of a chat completion."""
    return [
        {
            "type": "function",
            "function": {"name": query.name, "description": query.description, "parameters": query.schema},
        }
        for query in QUERIES.values()
    ]


async def _query(run: Opened, call: Call, id: int) -> QueryEvent:
    """Run the query that the model called."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = {}
        result: dict[str, Any] = {"error": "the arguments are not JSON: expected one object."}
    else:
        result = await anyio.to_thread.run_sync(run.ask, call.name, arguments)
    shown = arguments if isinstance(arguments, dict) else {}
    return QueryEvent("query", id, visible(call.name), shown, result)


def _tool_message(call: Call, event: QueryEvent) -> dict[str, Any]:
    content = {"query": event.id, "result": event.result}
    return {"role": "tool", "tool_call_id": call.id, "content": as_json(content).decode()}


async def _answer(step: Step, results: Sequence[tuple[int, Any]], answer_tokens: int) -> AnswerEvent:
    """The answer with its numbers traced, as an event."""
    text = visible(step.text).strip()
    if called_in_text(text):
        raise ChatError(
            "The server returned the model's tool call as text, so it cannot be answered. Start the server with tool "
            "calls enabled: llama.cpp's server with --jinja, vLLM with --enable-auto-tool-choice and the model's "
            "--tool-call-parser."
        )
    if not text:
        why = f"used all {answer_tokens:,} tokens of an answer" if step.finish == "length" else "ended"
        raise ChatError(f"The model {why} without saying anything. Ask again, or ask something narrower.")
    numbers = await anyio.to_thread.run_sync(trace, text, results)
    return AnswerEvent("answer", text, numbers, cut=step.finish == "length")


def _read(body: bytes) -> ChatRequest:
    try:
        asked = _REQUEST.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise HTTPException(400, f"The question is not of the expected form: {place} {first['msg']}.") from None
    if asked.messages[-1].role != "user":
        raise HTTPException(400, "The last message must be a question of the user.")
    length = len(asked.messages[-1].content)
    if length > TURN_LENGTH:
        raise HTTPException(
            400, f"The question has {length:,} characters: expected at most {TURN_LENGTH:,}. Ask something shorter."
        )
    return asked


def _history(asked: ChatRequest) -> list[dict[str, str]]:
    """The last turns, each cut, beginning with one of the user."""
    kept = [
        {"role": turn.role, "content": turn.content[:TURN_LENGTH].encode("utf-8", "replace").decode()}
        for turn in asked.messages[-TURNS:]
    ]
    while kept[0]["role"] != "user":
        kept.pop(0)
    return kept


def _prompt() -> str:
    return Path(queries.__file__).with_name("prompt.md").read_text(encoding="utf-8")
