"""Ask a language model over an OpenAI-compatible endpoint.

:func:`ask` sends each :class:`LLMRequest` and writes each :class:`LLMAnswer` to disk as it arrives, so that a killed
command resumes without paying twice. :func:`competency_gaps.scoring.answer_json.parse` reads an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import pydantic

from competency_gaps.items.config import LLMConfig
from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.files import no_space_left
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import one_line, plural, replace_surrogates, visible

if TYPE_CHECKING:
    import openai

FILE = "answers.jsonl"
"""Name of the file of answers, in the folder of :func:`ask`."""
_LISTENING = 0.2
"""Longest wait in seconds before Ctrl-C is noticed: with polars' handler, a wait without end is not interrupted."""


# Requests and answers


@dataclass(frozen=True)
class LLMRequest:
    """One question to a language model, with the JSON schema of its answer."""

    id: str
    """Identifies the question within a command."""
    system: str
    """What the model is told about its task; empty: nothing."""
    user: str
    """The question itself."""
    schema: dict[str, Any]
    """JSON schema of the answer. Endpoints that enforce it want every property required and
    ``additionalProperties`` false."""
    schema_name: str
    """1 to 64 letters, digits, ``_`` and ``-``."""
    max_tokens: int
    """Most tokens of the answer, unless the configuration says otherwise."""

    def body(self, config: LLMConfig) -> dict[str, Any]:
        """Return the JSON body of the call of chat completions.

        The question ends with the schema in words: some servers ignore the field without an error, and small models
        forget what stands before a long question.
        """
        shown = json.dumps(self.schema, ensure_ascii=False)
        question = f"{self.user}\n\nAnswer with one JSON object of this JSON schema and nothing else:\n{shown}"
        messages = [{"role": "system", "content": replace_surrogates(self.system)}] if self.system else []
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [*messages, {"role": "user", "content": replace_surrogates(question)}],
            config.tokens_key: config.max_tokens or self.max_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if config.structured == "json_schema":
            schema = {"name": self.schema_name, "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif config.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        return {**body, **config.extra}

    def key(self) -> str:
        """Return the SHA-256 of the question and schema, which does not depend on the model or its settings."""
        text = json.dumps([self.system, self.user, self.schema], separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class LLMAnswer:
    """A language model's answer to one request; or a refusal; or, with ``error``, none."""

    id: str
    """Id of the request."""
    text: str | None = None
    """What the model wrote; None if no answer came or it refused."""
    refusal: str | None = None
    """Why the model or the endpoint refused, in its words; None if it did not."""
    error: str | None = None
    """Why there is no answer; None if there is one."""
    model: str | None = None
    """The model's name as the endpoint gives it; None if unknown."""
    finish: str | None = None
    """Why the model stopped, in the endpoint's word (``length``: cut off at the limit); None if unknown."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Message(pydantic.BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(pydantic.BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(pydantic.BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(pydantic.BaseModel):
    choices: Annotated[list[_Choice], pydantic.Field(min_length=1)]
    model: str | None = None
    usage: _Usage | None = None


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with exactly these properties, all required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _read_completion(body: str, id: str) -> LLMAnswer:
    """Return the answer in the body of a chat completion, which may be malformed (``error``).

    An empty answer, as of a model that spends all tokens on thinking, has an empty text and no error.
    """
    try:
        read = _Completion.model_validate_json(body)
    except pydantic.ValidationError:
        return LLMAnswer(id, error=f"no chat completion: {one_line(body)}")
    message, finish, usage = read.choices[0].message, read.choices[0].finish_reason, read.usage or _Usage()
    refusal = message.refusal or ("content_filter" if finish == "content_filter" and not message.content else None)
    return LLMAnswer(
        id,
        text=None if refusal else replace_surrogates(message.content or ""),
        refusal=replace_surrogates(refusal) if refusal else None,
        model=visible(read.model or "")[:200] or None,
        finish=visible(finish or "")[:50] or None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


# Asking


def ask(
    requests: Iterable[LLMRequest],
    config: LLMConfig,
    folder: Path,
    progress: Progress,
    usable: Callable[[LLMAnswer], bool] = lambda answer: True,
) -> dict[str, LLMAnswer]:
    """Ask a model each request without a usable answer in the folder, and return the answers, old and new.

    Parameters
    ----------
    folder
        Where answers are stored, in ``answers.jsonl``. Equal requests share one answer.
    progress
        Shows a bar, and says what is going to be asked and what went wrong.
    usable
        Whether an answer, with the id of its request, can be used. If not, the next command asks again.

    Returns
    -------
    dict of str to LLMAnswer
        By id of the request. A request that failed has an answer with ``error``; one that ``max_cost`` left unasked has
        none.

    Raises
    ------
    UserError
        If the endpoint refuses the key, account, model or address, or gives no answer at all; or another process writes
        into the folder.
    MachineError
        If the disk is full.
    MissingExtraError
        If ``openai`` is not installed.
    """
    by_id = {request.id: request for request in requests}
    with hold(folder):
        store = AnswerStore(folder / FILE)
        kept = store.answers(by_id.values(), config.model)
        todo = [r for r in by_id.values() if r.id not in kept or not usable(kept[r.id])]
        failed = _send(todo, len(by_id), config, store, progress) if config.base_url and todo else {}
        return failed | store.answers(by_id.values(), config.model)


class AnswerStore:
    """Answers in an append-only JSONL file, one a line, each on the disk before :meth:`add` returns.

    A last line that a kill cut off is ignored. Of several answers to the same question the last counts.

    Raises
    ------
    UserError
        If any other line is not an answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of: dict[str, dict[str, LLMAnswer]] = {}
        self._length = 0
        self._guard = threading.Lock()
        adapter = pydantic.TypeAdapter(LLMAnswer)
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.is_file() else (), start=1):
            if not line.endswith(b"\n"):
                break
            try:
                kept = json.loads(line)
                self._put(kept.pop("key"), kept.pop("asked"), adapter.validate_python(kept))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UserError(
                    f"{str(path)!r}, line {number}: expected an answer in this program's form. Delete the line to ask "
                    "its request again."
                ) from None
            self._length += len(line)

    @property
    def models(self) -> list[str]:
        """Names of the models that gave the answers, in the order in which they were first asked."""
        return list(dict.fromkeys(model for kept in self._of.values() for model in kept))

    def answers(self, requests: Iterable[LLMRequest], model: str | None) -> dict[str, LLMAnswer]:
        """Return a model's stored answers by id of the request; with ``model`` None the latest of any model."""
        by_id = {}
        for request in requests if self._of else ():
            kept = self._of.get(request.key(), {})
            answer = kept.get(model) if model else next(reversed(kept.values()), None)
            if answer is not None:
                by_id[request.id] = replace(answer, id=request.id)
        return by_id

    def add(self, model: str, key: str, answer: LLMAnswer) -> None:
        """Append an answer; it is on the disk on return. May be called from several threads.

        Raises
        ------
        MachineError
            If the disk is full; earlier answers stay whole.
        """
        line = json.dumps({"asked": model, "key": key, **asdict(answer)}).encode("ascii") + b"\n"
        with self._guard, no_space_left(self.path):
            with self.path.open("r+b" if self.path.exists() else "w+b") as file:
                file.truncate(self._length)
                file.seek(self._length)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._length += len(line)
            self._put(key, model, answer)

    def _put(self, key: str, model: str, answer: LLMAnswer) -> None:
        kept = self._of.setdefault(key, {})
        kept.pop(model, None)  # the newest stands last
        kept[model] = answer


def _send(
    todo: Sequence[LLMRequest], total: int, config: LLMConfig, store: AnswerStore, progress: Progress
) -> dict[str, LLMAnswer]:
    """Send the requests of ``todo``, out of ``total``, store their answers, and return the failed ones by id."""
    check_installed()
    by_key: dict[str, list[LLMRequest]] = {}
    for request in todo:
        by_key.setdefault(request.key(), []).append(request)
    progress.say(estimate([same[0] for same in by_key.values()], total, config))
    failed: dict[str, LLMAnswer] = {}
    enough, gave_answers = min(config.concurrency, len(by_key)), bool(store.models)
    lost = prompt = completion = 0
    with (
        progress.stage("asking", total=total, unit="requests") as bar,
        closing(_outcomes(by_key, config, store)) as outcomes,
    ):
        bar.skip(total - len(todo))
        for key, answer, is_lost in outcomes:
            bar.advance(len(by_key[key]))
            if answer.error is None:
                gave_answers, lost = True, 0
                bound = _tokens(by_key[key][0], config)
                prompt += bound[0] if answer.prompt_tokens is None else answer.prompt_tokens
                completion += bound[1] if answer.completion_tokens is None else answer.completion_tokens
            else:
                failed |= {request.id: replace(answer, id=request.id) for request in by_key[key]}
                lost += is_lost
            # Single requests may be at fault themselves: too long, or refused by a filter.
            if lost >= enough or (not gave_answers and len(failed) >= enough):
                raise UserError(
                    f"{config.base_url} gives no answers: {answer.error}. Expected an OpenAI-compatible server that "
                    "accepts such requests (see structured, tokens_key, temperature and extra). Answers so far are "
                    "kept."
                )
            cost = config.cost(prompt, completion)
            used = f"{prompt + completion:,} tokens" + ("" if cost is None else f", {_money(cost)}")
            bar.note(used + (f", {len(failed):,} failed" if failed else ""))
            if cost is not None and config.max_cost is not None and cost >= config.max_cost:
                progress.say(f"max_cost is reached ({used}). Repeat the command to continue.")
                break
    if failed:
        first = next(iter(failed.values())).error
        progress.say(f"{plural(len(failed), 'request')} got no answer ({first}); repeat the command to ask again.")
    return failed


def _outcomes(
    by_key: Mapping[str, Sequence[LLMRequest]], config: LLMConfig, store: AnswerStore
) -> Generator[tuple[str, LLMAnswer, bool], None, None]:
    """Yield, as answers arrive, each key with its answer and whether the endpoint was unreachable.

    Closing the generator, or the first Ctrl-C, sends nothing more and waits for requests in flight, which may be paid
    for; the second Ctrl-C drops those.
    """
    client, left = _connect(config), iter(by_key.items())
    pool = ThreadPoolExecutor(config.concurrency)
    running: set[Future[tuple[str, LLMAnswer, bool]]] = set()
    try:
        while True:
            more = islice(left, 2 * config.concurrency - len(running))
            running |= {pool.submit(_answered, client, key, same[0], config, store) for key, same in more}
            if not running:
                return
            done, running = wait(running, _LISTENING, FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        running = {future for future in running if not future.cancel()}
        try:
            while running:
                running = wait(running, _LISTENING).not_done
        except KeyboardInterrupt:
            client.close()
            raise
        pool.shutdown(wait=False)


def _answered(
    client: Any, key: str, request: LLMRequest, config: LLMConfig, store: AnswerStore
) -> tuple[str, LLMAnswer, bool]:
    """Send one request; return its key, its answer (saved first) and whether the endpoint was unreachable.

    UserError if the endpoint refuses in a way that every other request would meet too.
    """
    import openai

    try:
        raw = client.chat.completions.with_raw_response.create(**request.body(config))
    except openai.OpenAIError as error:
        cause = "" if isinstance(error, openai.APIStatusError) else error.__cause__ or ""
        reason = _hide_key(one_line(f"{error} {cause}"), config)
        if isinstance(error, openai.APIStatusError) and _fails_for_all(error):
            raise UserError(
                f"{config.base_url} refuses the request ({reason}). Check base_url, the model {config.model!r}, and "
                f"the key in {config.key_env}, which is {'' if _key(config) else 'not '}set. What is answered is kept."
            ) from None
        is_lost = isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)
        return key, LLMAnswer(request.id, error=reason), is_lost
    answer = _read_completion(_hide_key(raw.http_response.text, config), request.id)
    if answer.error is None:
        store.add(config.model, key, answer)
    return key, answer, False


def _fails_for_all(error: openai.APIStatusError) -> bool:
    """Whether every other request would fail too: a redirect, the key, the account, the address or the quota."""
    status = error.status_code
    return status < 400 or status in (401, 402, 403, 404) or "insufficient_quota" in error.response.text


# The connection


def check_installed() -> None:
    """Raise MissingExtraError if ``openai`` is not installed."""
    with needed(None, "label", "Asking a language model"):
        import openai  # noqa: F401


def _connect(config: LLMConfig) -> Any:
    """Return a client of ``openai``, which repeats failed requests; it follows no redirects, and uses no proxy for this
    machine.

    Raises
    ------
    UserError
        If the key cannot be sent; the message does not show it.
    """
    import openai

    return openai.OpenAI(
        api_key=_key(config) or "no-key",
        base_url=config.base_url,
        timeout=config.timeout,
        max_retries=config.retries,
        http_client=openai.DefaultHttpxClient(trust_env=not is_here(str(config.base_url)), follow_redirects=False),
    )


def _key(config: LLMConfig) -> str:
    """Return the API key from the environment, empty if there is none; UserError if its characters cannot be sent."""
    value = os.environ.get(config.key_env, "").strip()
    if not all("!" <= letter <= "~" for letter in value):  # an error of the HTTP client would show it
        raise UserError(
            f"the environment variable {config.key_env} contains blanks, line breaks or non-ASCII letters (it is not "
            "shown): expected a single key. Set it again."
        )
    return value


def _hide_key(text: str, config: LLMConfig) -> str:
    """Return a foreign text with ``[API key]`` for the key; keys under 8 letters are placeholders like ``EMPTY``."""
    key = _key(config)
    return text.replace(key, "[API key]") if len(key) >= 8 else text


def is_here(url: str) -> bool:
    """Return whether an address is this machine's loopback; other names may lead anywhere."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def estimate(requests: Sequence[LLMRequest], total: int, config: LLMConfig) -> str:
    """Return a sentence with the number of requests, their tokens and, if prices are known, their cost."""
    prompt, completion = map(sum, zip(*(_tokens(request, config) for request in requests), strict=True))
    cost = config.cost(prompt, completion)
    return (
        f"{len(requests):,} of {plural(total, 'request')} to ask {config.model}: about {prompt:,} prompt tokens, at "
        f"most {completion:,} answer tokens" + ("." if cost is None else f"; at most about {_money(cost)}.")
    )


def _tokens(request: LLMRequest, config: LLMConfig) -> tuple[int, int]:
    """Return a request's approximate prompt tokens (four characters each), and the most tokens of its answer."""
    body = json.dumps(request.body(config), ensure_ascii=False)
    return len(body) // 4, config.max_tokens or request.max_tokens


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"
