"""The loop behind :func:`~competency_gaps.endpoint.ask`: a few workers, one meter, one store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.budget import Meter, Use, prompt_bound
from competency_gaps.endpoint.completion import read_completion, read_json
from competency_gaps.endpoint.endpoint import Key, connect
from competency_gaps.endpoint.faults import MOVED, STOPS, Dialect, Fault, fault_of
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import UserError, argument
from competency_gaps.progress import Bar
from competency_gaps.text import plural, shorten

if TYPE_CHECKING:
    from competency_gaps.endpoint.endpoint import Endpoint

MANY_LATE = 0.25
"""Share of late answers above which fewer requests are sent at once [ours]."""


class RequestLoop:
    """Asks many requests: at most ``concurrency`` are taken from the collection at any time.

    A server that answers fewer at once lets the others wait until their time is over; then half as many are sent.
    """

    def __init__(
        self,
        requests: Collection[Request],
        endpoint: Endpoint,
        key: Key,
        store: AnswerStore,
        meter: Meter,
        bar: Bar,
        say: Callable[[str], None],
    ) -> None:
        self.answers: dict[str, Answer] = {}
        self.meter = meter
        self.capped = False
        self.handled = 0
        """Requests that have an answer or failed for good; equal ones counted each."""
        self._endpoint, self._key, self._store, self._bar, self._say = endpoint, key, store, bar, say
        self._dialect = Dialect(endpoint.structured)
        self._at_once = endpoint.concurrency
        self._late = self._in_time = 0
        self._said_slow = False
        self._todo = self._unanswered(requests)
        self._keys: dict[str, str] = {}
        self._twins: dict[str, list[str]] = {}
        self._failed = self._unreached = self._in_flight = 0
        self._reached = False
        self._not_before = 0.0
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Ask everything; on an error, wait for what is in flight and keep it before the error is raised."""
        self._loop = asyncio.get_running_loop()
        async with connect(self._endpoint, self._key) as client:
            tasks = [asyncio.create_task(self._work(client)) for _ in range(self._endpoint.concurrency)]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                self._halt()
                await asyncio.wait(tasks)
            except asyncio.CancelledError:
                self._halt()
                if self._in_flight:
                    waited = plural(self._in_flight, "request")
                    self._say(f"Stopping: {waited} in flight may be paid for and are waited for; Ctrl-C drops them.")
                await asyncio.wait(tasks)
                raise
            finally:
                faults = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for fault in faults:
            if fault is not None:
                raise fault

    def halt_from_outside(self) -> None:
        """Send nothing more; may be called from another thread."""
        self._stopping = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._halt)

    def _halt(self) -> None:
        self._stopping = True
        self._stop.set()
        self._changed.set()

    def _unanswered(self, requests: Collection[Request]) -> Iterator[tuple[Request, str]]:
        """Requests to ask, with their keys; shared by all workers, which take one at a time."""
        for request in requests:
            if self._stopping:
                return
            key = request.key(self._endpoint.model)
            if self._keys.setdefault(request.id, key) != key:
                raise UserError(f"two different requests share the id {request.id!r}: expected one id for each.")
            known = self._store.get(key)
            if known is not None:
                self.answers[request.id] = replace(known, id=request.id)
                self.handled += 1
                self._bar.skip(1)
            elif key in self._twins:
                self._twins[key].append(request.id)
            else:
                self._twins[key] = [request.id]
                yield request, key

    async def _work(self, client: Any) -> None:
        for request, key in self._todo:
            answer = await self._answer(client, request, key)
            if answer is None:
                return
            ids = self._twins.pop(key)
            for id in ids:
                self.answers[id] = replace(answer, id=id)
            self.handled += len(ids)
            self._failed += len(ids) * (answer.error is not None)
            self._bar.advance(len(ids))
            self._bar.note(self.meter.text() + (f", {self._failed:,} failed" if self._failed else ""))

    async def _answer(self, client: Any, request: Request, key: str) -> Answer | None:
        """Ask one request until it is answered or fails for good; None: the loop ended before."""
        attempt = 0
        while True:
            outcome = await self._attempt(client, request, key)
            if outcome is None or isinstance(outcome, Answer):
                return outcome
            if outcome.stop is not None:
                raise UserError(self._why_stopped(outcome.stop, outcome.reason))
            self._check_wait(outcome)
            if not outcome.again or attempt == self._endpoint.retries:
                self._check_reached(outcome)
                tries = f" ({plural(attempt + 1, 'attempt')})" if attempt else ""
                return Answer(request.id, key, None, None, outcome.reason + tries, None, None, None)
            self._bar.note(f"trying again: {shorten(outcome.reason, 60)}")
            wait = min(self._endpoint.first_wait * 2.0**attempt, self._endpoint.longest_wait)
            if outcome.wait:
                self._not_before = max(self._not_before, asyncio.get_running_loop().time() + outcome.wait)
            elif not await self._rest(wait * random.uniform(0.75, 1.25)):
                return None
            attempt += 1

    async def _attempt(self, client: Any, request: Request, key: str) -> Answer | Fault | None:
        """One attempt; repeated at once in another way when the endpoint refuses the request's form."""
        while True:
            if not await self._pause():
                return None
            dialect = self._dialect
            body = dialect.body(request, self._endpoint.model)
            bound = Use(prompt_bound(body), request.max_tokens)
            if not await self._room(bound):
                return None
            self._in_flight += 1
            at_once = self._at_once
            try:
                outcome = await self._send(client, body, request, key)
            finally:
                self._in_flight -= 1
            if at_once == self._at_once:
                self._watch(outcome)
            # No await between an answer's arrival and its place on the disk: nothing can come between.
            if isinstance(outcome, Answer):
                self._store.add(outcome)
            self.meter.settle(bound, _used(outcome, bound))
            self._changed.set()
            complaint = outcome.complaint if isinstance(outcome, Fault) else None
            if complaint is not None and (self._dialect is not dialect or self._adapt(complaint)):
                continue
            if not (isinstance(outcome, Fault) and outcome.unreached):
                self._reached, self._unreached = True, 0
            return outcome

    async def _send(self, client: Any, body: dict[str, Any], request: Request, key: str) -> Answer | Fault:
        import openai

        timeout = self._endpoint.timeout
        try:
            # The package's timeout starts anew with every byte; this one bounds the whole.
            async with asyncio.timeout(1.25 * timeout):
                raw = await client.chat.completions.with_raw_response.create(**body)
        except (openai.OpenAIError, TimeoutError) as error:
            return fault_of(error, self._key, timeout)
        try:
            text = raw.http_response.content.decode("utf-8", "replace")
            answer = read_completion(read_json(self._key.hide(text)), id=request.id, key=key)
        except ValueError:
            return Fault("the answer's body is cut off or no JSON", again=True, maybe_paid=True)
        if answer.error is not None:
            return Fault(self._key.hide(answer.error, short=True), again=True, maybe_paid=True)
        return answer

    def _adapt(self, complaint: str) -> bool:
        adapted = self._dialect.adapted(complaint)
        if adapted is None:
            return False
        self._dialect, message = adapted
        self._say(message)
        return True

    def _watch(self, outcome: Answer | Fault) -> None:
        """Halve how many requests are in flight if many of those sent so come too late; a few stragglers are usual."""
        late = isinstance(outcome, Fault) and outcome.late
        self._late += late
        self._in_time += isinstance(outcome, Answer)
        if not late or self._late < 2 or self._late <= MANY_LATE * (self._late + self._in_time):
            return
        slow = f"{self._endpoint.base_url} often gives no answer within {self._endpoint.timeout:g} s"
        before, self._at_once, self._late, self._in_time = self._at_once, max(1, self._at_once // 2), 0, 0
        if before > 1:
            verb = "is" if self._at_once == 1 else "are"
            self._say(f"{slow} when {before} requests wait at once: from now on {self._at_once} {verb} sent at a time.")
        elif not self._said_slow:
            self._said_slow = True
            self._say(f"{slow}, though one request is sent at a time: it needs a longer {argument('timeout')}.")

    async def _pause(self) -> bool:
        """Wait as long as the endpoint asked to, for whichever request; False: the loop ends."""
        while not self._stopping:
            wait = self._not_before - asyncio.get_running_loop().time()
            if wait <= 0:
                return True
            await self._rest(wait * random.uniform(1.0, 1.1))
        return False

    async def _rest(self, seconds: float) -> bool:
        """Wait; False: the loop ends."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return not self._stopping
        return False

    async def _room(self, bound: Use) -> bool:
        """Reserve a request's upper bound once the requests in flight leave room for it; False: the loop ends."""
        while not self._stopping:
            if self._in_flight < self._at_once:
                if self.meter.reserve(bound):
                    return True
                if self.meter.idle:
                    self.capped = True
                    self._halt()
                    return False
            self._changed.clear()
            await self._changed.wait()
        return False

    def _check_wait(self, fault: Fault) -> None:
        if fault.wait is not None and fault.wait > self._endpoint.longest_retry_after:
            raise UserError(
                f"{self._endpoint.base_url} asks to wait {fault.wait:,.0f} s ({fault.reason}): expected at most "
                f"{self._endpoint.longest_retry_after:,.0f} s. What is answered is kept; run again then."
            )

    def _check_reached(self, fault: Fault) -> None:
        """End the loop where no server answers, instead of failing request after request."""
        if not fault.unreached:
            return
        self._unreached += 1
        if not self._reached or self._unreached >= 2 * self._endpoint.concurrency:
            raise UserError(
                f"{self._endpoint.base_url} cannot be reached: {fault.reason}. Expected a running OpenAI-compatible "
                f"server. Start it, or give another base_url; what is answered is kept."
            )

    def _why_stopped(self, status: int, reason: str) -> str:
        variable = self._endpoint.key_env
        state = "is set" if self._key.is_set else "is not set"
        advice = {
            401: f"Expected a valid key in the environment variable {variable}, which {state}. Set it",
            403: f"Expected a key (environment variable {variable}, which {state}) with access to "
            f"{self._endpoint.model!r}. Use another key, model or base_url",
            MOVED: "Expected the address that answers itself. Give that one as base_url",
            404: f"Expected the root of an OpenAI-compatible API as base_url and a model that it has, not "
            f"{self._endpoint.model!r}. Give the right ones",
        }.get(status, "Expected an account that can pay for the requests. Top it up or use another endpoint")
        return (
            f"{self._endpoint.base_url} {STOPS[status]} ({reason}). {advice} and run again; what is answered is kept."
        )


def _used(outcome: Answer | Fault, bound: Use) -> Use:
    """Tokens that an attempt used, as the endpoint says, or their upper bound if it does not say."""
    if isinstance(outcome, Fault):
        return bound if outcome.maybe_paid else Use(0, 0)
    prompt, completion = outcome.prompt_tokens, outcome.completion_tokens
    return Use(bound.prompt if prompt is None else prompt, bound.completion if completion is None else completion)
