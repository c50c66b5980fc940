"""One step of a chat: send the messages so far to an endpoint, get back a text or tool calls."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from competency_gaps.endpoint.budget import Cap, Meter, Use
from competency_gaps.endpoint.completion import read_completion, read_json
from competency_gaps.endpoint.endpoint import Endpoint, read_key
from competency_gaps.endpoint.faults import STOPS, Dialect, Fault, fault_of
from competency_gaps.errors import argument
from competency_gaps.text import shorten, visible

ANSWER_TOKENS = 4_096
"""Most tokens of one step, thinking included, where nothing else is asked for [ours]."""
QUESTION_TOKENS = 200_000
"""Most tokens that a question may use over all of its steps [ours]."""
_RETRIES = 2
_LONGEST_WAIT = 15.0
"""Longest wait in seconds, if the endpoint asks for one: somebody is looking at the page [ours]."""
_MOST_CALLS = 8
"""Tool calls of one step that are answered [ours]."""
_TOOL_WORDS = ("tool", "function call", "function_call")
_CALL_AS_TEXT = ("<tool_call>", "<|tool_call", "[TOOL_CALLS]", "<function=", "<|python_tag|>")
_AROUND_A_CALL = re.compile(r"```(?:json|tool_call)?|</?tool_calls?>|\[TOOL_CALLS\]|[\s,;]+")
"""What may stand around calls that are written as text."""
NO_TOOLS = (
    "The endpoint does not support tool calls, which are needed to look anything up in the run: expected a model and "
    "a server that do. llama.cpp's server takes them with --jinja, vLLM with --enable-auto-tool-choice and a "
    "--tool-call-parser."
)


class ChatError(Exception):
    """The question cannot be answered; the message says why and what to do."""


@dataclass(frozen=True)
class Call:
    """A query that the model wants asked."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True)
class Step:
    """What the model answered in one step."""

    text: str
    calls: list[Call]
    """Empty: the text is its answer."""
    finish: str | None

    def message(self) -> dict[str, Any]:
        """As a message of the conversation that goes on."""
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in self.calls
        ]
        return {"role": "assistant", "content": self.text, "tool_calls": calls}


class ChatModel:
    """The model behind an endpoint, for one question.

    Parameters
    ----------
    endpoint
        Where it is; the key is read from the environment now.
    tools
        In the form of chat completions.
    answer_tokens
        Most tokens of one step, thinking included.
    """

    def __init__(self, endpoint: Endpoint, tools: list[dict[str, Any]], answer_tokens: int = ANSWER_TOKENS) -> None:
        self._answer_tokens = answer_tokens
        self._endpoint, self._tools = endpoint, tools
        self._names = {str(tool["function"]["name"]) for tool in tools}
        self._key = read_key(endpoint.key_env)
        self._dialect = Dialect("none")
        self._meter = Meter(Cap(QUESTION_TOKENS), endpoint.prices)

    async def step(self, client: Any, messages: list[dict[str, Any]], *, last: bool) -> Step:
        """Ask for the next step.

        Parameters
        ----------
        client
            ``openai.AsyncOpenAI``.
        last
            Whether it must be an answer, without calls.

        Raises
        ------
        ChatError
            If none comes.
        """
        for attempt in range(_RETRIES + 1):
            got = await self._attempt(client, messages, last=last)
            if isinstance(got, Step):
                return got
            wait = got.wait if got.wait is not None else 2.0**attempt
            if got.stop is not None or not got.again or attempt == _RETRIES or wait > _LONGEST_WAIT:
                raise ChatError(self._why(got))
            await asyncio.sleep(wait)
        raise AssertionError("the loop ends by returning or raising")

    async def _attempt(self, client: Any, messages: list[dict[str, Any]], *, last: bool) -> Step | Fault:
        """One attempt; repeated at once in another form if the endpoint refuses the request's form."""
        while True:
            body = self._body(messages, last=last)
            bound = Use(len(json.dumps(body, ensure_ascii=False)) // 3, self._answer_tokens)
            if not self._meter.reserve(bound):
                raise ChatError(
                    f"This question has used {self._meter.text()}, and no more than {QUESTION_TOKENS:,} are spent on "
                    "one. Ask something narrower."
                )
            used = bound
            try:
                got, used = await self._send(client, body, bound)
            finally:
                self._meter.settle(bound, used)
            if isinstance(got, Step) or got.complaint is None:
                return got
            adapted = self._dialect.adapted(got.complaint)
            if adapted is None:
                if any(word in got.complaint.lower() for word in _TOOL_WORDS):
                    raise ChatError(f"{NO_TOOLS} Its reason: {got.reason}.")
                return got
            self._dialect = adapted[0]

    def _body(self, messages: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
        choice = "none" if last else "auto"
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": messages,
            "tools": self._tools,
            "tool_choice": choice,
            self._dialect.limit: self._answer_tokens,
        }
        if self._dialect.temperature:
            body["temperature"] = 0.0
        return body

    async def _send(self, client: Any, body: dict[str, Any], bound: Use) -> tuple[Step | Fault, Use]:
        """The result, and the tokens it used."""
        import openai

        timeout = self._endpoint.timeout
        try:
            # The package's timeout restarts with every byte; this one bounds the whole request.
            async with asyncio.timeout(1.25 * timeout):
                raw = await client.chat.completions.with_raw_response.create(**body)
        except (openai.OpenAIError, TimeoutError) as error:
            fault = fault_of(error, self._key, timeout)
            return fault, bound if fault.maybe_paid else Use(0, 0)
        try:
            whole = read_json(self._key.hide(raw.http_response.content.decode("utf-8", "replace")))
        except ValueError:
            return Fault("the answer's body is cut off or no JSON", again=True, maybe_paid=True), bound
        answer = read_completion(whole, id="step", key="step")
        if answer.error is not None:
            return Fault(self._key.hide(answer.error, short=True), again=True, maybe_paid=True), bound
        if answer.refusal is not None:
            raise ChatError(f"The model declined to answer: {visible(shorten(answer.refusal, 300))}")
        text = answer.text or ""
        calls = _calls(whole["choices"][0]["message"])
        if not calls and (calls := calls_in_text(text, self._names)):
            text = ""
        prompt, completion = answer.prompt_tokens, answer.completion_tokens
        used = Use(bound.prompt if prompt is None else prompt, bound.completion if completion is None else completion)
        return Step(text, calls, answer.finish), used

    def _why(self, fault: Fault) -> str:
        where = self._endpoint.base_url
        if fault.stop is not None:
            return (
                f"{where} {STOPS[fault.stop]} ({fault.reason}). Start the explorer again with another "
                f"{argument('base_url')}, {argument('model')}, or key in the environment variable "
                f"{self._endpoint.key_env}."
            )
        if fault.unreached:
            return f"{where} cannot be reached: {fault.reason}. Start the server there, and ask again."
        return f"{where} gave no answer: {fault.reason}. Ask again."


def calls_in_text(text: str, names: Collection[str]) -> list[Call]:
    """Read calls that a model wrote as its answer, as small models do whose server does not know their form.

    Parameters
    ----------
    text
        The answer. It counts only if it is nothing but calls: JSON objects with a ``name`` and ``arguments``, one or
        several, bare, in a list, between fences or between tags.
    names
        Queries that there are.

    Returns
    -------
    list of Call
        Empty if the text is anything else.
    """
    decoder, place = json.JSONDecoder(), 0
    calls: list[Call] = []
    while place < len(text):
        if around := _AROUND_A_CALL.match(text, place):
            place = around.end()
            continue
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return []
        for entry in value if isinstance(value, list) else [value]:
            name = entry.get("name") if isinstance(entry, Mapping) else None
            given = entry.get("arguments", entry.get("parameters", {})) if name is not None else None
            if not isinstance(name, str) or name not in names or not isinstance(given, Mapping):
                return []
            calls.append(Call(f"call-{len(calls)}", name, json.dumps(given)))
    return calls[:_MOST_CALLS]


def called_in_text(text: str) -> bool:
    """Whether a text is a tool call that the server did not recognise."""
    return any(sign in text for sign in _CALL_AS_TEXT)


def _calls(message: Mapping[str, Any]) -> list[Call]:
    """The tool calls in a message, which is foreign input: entries without a name are skipped."""
    listed = message.get("tool_calls")
    calls = []
    for number, entry in enumerate(listed if isinstance(listed, list) else []):
        function = entry.get("function") if isinstance(entry, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str):
            continue
        given = function.get("arguments")
        # Some servers hand over the object instead of its text.
        arguments = given if isinstance(given, str) else json.dumps(given if isinstance(given, Mapping) else {})
        id = entry.get("id")
        calls.append(Call(id if isinstance(id, str) and id else f"call-{number}", name[:100], arguments[:20_000]))
    return calls[:_MOST_CALLS]
