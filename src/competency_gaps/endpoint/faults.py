"""What went wrong with one attempt, what follows from it, and how an endpoint wants its requests."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.completion import error_text, read_json
from competency_gaps.endpoint.endpoint import Key
from competency_gaps.endpoint.request import Request
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAIError

MOVED = 300
"""Stands for every status that leads to another address (300 to 399)."""
STOPS = {
    MOVED: "sends to another address, which is not followed",
    401: "refuses the key",
    402: "wants to be paid",
    403: "forbids this",
    404: "knows no such address or model",
    429: "says that the account has no quota left",
}
"""By status: what the endpoint does if every other request would fail too."""
_AGAIN = (408, 409, 425, 429)
_REFUSED = (400, 422)
_MAYBE_PAID = (408, 502, 504, 524)
"""A gateway gave up waiting: the model behind it may have written its answer all the same."""
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")
"""Kinds of connection faults in which no request left this machine."""
_NEXT: dict[Structured, Structured] = {"json_schema": "json_object", "json_object": "none"}
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "json schema", "structured output", "grammar")
_NOT_GENERATED = "json_validate_failed"
"""Code for a model that failed to write JSON once; the endpoint itself takes the format."""
_UNSUPPORTED = ("unsupported", "not support", "only the default")


@dataclass(frozen=True)
class Fault:
    """A failed attempt."""

    reason: str
    """Why, short, without the key."""
    again: bool = False
    """Whether another attempt may succeed."""
    wait: float | None = None
    """Seconds that the endpoint asks to wait before it; None: unknown."""
    stop: int | None = None
    """Status code (a key of ``STOPS``) that concerns all requests, so that the run ends; None: none."""
    maybe_paid: bool = False
    """Whether the endpoint may have answered and counted it all the same."""
    unreached: bool = False
    """Whether no connection was made."""
    late: bool = False
    """Whether no answer came in time."""
    complaint: str | None = None
    """Body of a refusal of the request's form; None: none."""


def fault_of(error: OpenAIError | TimeoutError, key: Key, timeout: float) -> Fault:
    """Sort an exception of the ``openai`` package.

    Parameters
    ----------
    error
        From one attempt, made without the package's own retries.
    key
        Hidden wherever it stands in what the endpoint says.
    timeout
        Seconds that were waited.
    """
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        return _of_status(error, key)
    cause = type(error.__cause__).__name__
    if cause in _NOT_SENT:
        why = shorten(visible(key.hide(str(error.__cause__), short=True)), 200)
        return Fault(f"no connection ({why or cause})", again=True, unreached=True)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return Fault(f"no answer within {timeout:g} s", again=True, maybe_paid=True, late=True)
    if isinstance(error, APIConnectionError):
        return Fault(f"the connection broke ({cause})", again=True, maybe_paid=True)
    # A body that the package could not read is as good as a broken connection.
    return Fault(f"unreadable answer ({type(error).__name__})", again=True, maybe_paid=True)


def _of_status(error: APIStatusError, key: Key) -> Fault:
    status = error.status_code
    text = key.hide(error.response.text)
    body: Any = text
    with contextlib.suppress(ValueError):
        body = read_json(text)
    message = key.hide(error_text(body), short=True)
    reason = f"status {status}: {message}" if message else f"status {status}"
    if 300 <= status < 400:
        place = key.hide(visible(error.response.headers.get("location", "nowhere")), short=True)
        return Fault(f"status {status} to {shorten(place, 200)}", stop=MOVED)
    if (status in STOPS and status != 429) or (status == 429 and "insufficient_quota" in text):
        return Fault(reason, stop=status)
    if status in _AGAIN or status >= 500:
        # Some servers (llama-cpp-python) answer a form that they do not take with 500 and their validator's words.
        complaint = text if status == 500 and "validation error" in text.lower() else None
        wait = retry_after(error.response.headers)
        return Fault(reason, again=True, wait=wait, maybe_paid=status in _MAYBE_PAID, complaint=complaint)
    return Fault(reason, complaint=text if status in _REFUSED else None)


def retry_after(headers: Any) -> float | None:
    """Seconds that an endpoint asks to wait; None: unknown, or not in a form that HTTP knows.

    Parameters
    ----------
    headers
        Mapping from lower-case names: ``retry-after-ms`` (milliseconds), ``retry-after`` (seconds or a date).
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            seconds = _until(value)
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return math.nan


@dataclass(frozen=True)
class Dialect:
    """How requests to an endpoint are written for the rest of a run."""

    structured: Structured
    """How it is asked for JSON."""
    limit: str = "max_tokens"
    """Its name for the most tokens of an answer; newer models want ``max_completion_tokens``."""
    temperature: bool = True
    """Whether it takes a temperature; some models take only their own."""

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Body of the call for a request."""
        body = request.body(model, self.structured)
        if self.limit != "max_tokens":
            body[self.limit] = body.pop("max_tokens")
        if not self.temperature:
            del body["temperature"]
        return body

    def adapted(self, complaint: str) -> tuple[Dialect, str] | None:
        """The form that a refusal asks for, and a message for the user.

        Parameters
        ----------
        complaint
            Body of the refusal.

        Returns
        -------
        tuple of Dialect and str, or None
            None if the refusal is about something else, or no other form is left.
        """
        words = complaint.lower()
        if "max_completion_tokens" in words and self.limit == "max_tokens":
            return replace(
                self, limit="max_completion_tokens"
            ), "The endpoint wants max_completion_tokens: used from now on."
        if _NOT_GENERATED in words:
            return None
        other = _NEXT.get(self.structured)
        if other is not None and any(word in words for word in _FORMAT_WORDS):
            way = "JSON objects without a schema are" if other == "json_object" else "JSON is"
            asked = "" if other == "json_object" else " in words alone"
            message = f"The endpoint does not take {self.structured}: from now on {way} asked for{asked} ({other})."
            return replace(self, structured=other), message
        if self.temperature and "temperature" in words and any(word in words for word in _UNSUPPORTED):
            return replace(self, temperature=False), "The endpoint takes no temperature: its own is used from now on."
        return None
