"""What a response of the API becomes: a dictionary, an exception, or another attempt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from torale import exceptions
from torale.exceptions import RateLimitError, ServerError, ToraleAPIError, UnexpectedResponseError
from torale.types import Fault

SUCCESS = 200
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
REDIRECTS = range(300, 400)
SERVER_ERROR = 500

_BY_STATUS: Mapping[int, type[ToraleAPIError]] = {
    401: exceptions.AuthenticationError,
    403: exceptions.ForbiddenError,
    404: exceptions.NotFoundError,
    409: exceptions.ConflictError,
    413: exceptions.PayloadTooLargeError,
    422: exceptions.ValidationError,
    TOO_MANY_REQUESTS: RateLimitError,
}


@dataclass(frozen=True)
class Answer:
    """A complete HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after(self) -> float | None:
        """The header `Retry-After` in seconds; None if there is none."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() else None

    def read(self, keys: Iterable[str]) -> dict[str, Any]:
        """The JSON object of a successful response.

        Raises:
            ToraleAPIError: The response is no success, or its object lacks one of the keys.
        """
        if self.status != SUCCESS:
            raise self._failure()
        content = self._json()
        if content is None:
            raise self._unexpected("the answer is not a JSON object")
        if missing := sorted(set(keys) - content.keys()):
            raise self._unexpected(f"the answer has no {', '.join(missing)}")
        return content

    def _json(self) -> dict[str, Any] | None:
        try:
            content: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", content) if isinstance(content, dict) else None

    def _failure(self) -> ToraleAPIError:
        kind = _BY_STATUS.get(self.status, ServerError if self.status >= SERVER_ERROR else ToraleAPIError)
        value: object = (self._json() or {}).get("detail")
        detail: str | list[Fault] | None = value if isinstance(value, str) else _faults(value)
        if detail is None and kind not in (ServerError, RateLimitError):
            return self._unexpected("the answer does not come from the API")
        message = detail or "the answer does not come from the API; something between failed"
        if not isinstance(message, str):
            message = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in message)
        request_id = self.headers.get("x-request-id")
        message = f"{message} (HTTP {self.status})"
        error = kind(message, status_code=self.status, detail=detail, request_id=request_id)
        wait = self.retry_after()
        if wait is not None and isinstance(error, RateLimitError | ServerError):
            error.retry_after = wait
        return error

    def _unexpected(self, what: str) -> UnexpectedResponseError:
        if self.status in REDIRECTS:
            what = "a redirect, which is not followed: the key is only for the configured host"
        request_id = self.headers.get("x-request-id")
        message = f"{what} (HTTP {self.status})"
        return UnexpectedResponseError(message, status_code=self.status, request_id=request_id)


def _faults(detail: object) -> list[Fault] | None:
    """The list of errors of a 422; None if it is something else."""
    if not isinstance(detail, list) or not all(_is_fault(entry) for entry in cast("list[object]", detail)):
        return None
    return cast("list[Fault]", detail)


def _is_fault(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    fault = cast("dict[str, object]", entry)
    return isinstance(fault.get("msg"), str) and isinstance(fault.get("loc"), list) and bool(fault["loc"])


class RetryBudget:
    """How many more attempts a call may make, and how many seconds it may still wait for them."""

    def __init__(self, retries: int, seconds: float) -> None:
        self._retries = retries
        self._seconds = seconds

    def pause(self, answer: Answer, *, repeatable: bool) -> float | None:
        """Seconds to wait before the next attempt; None if there is no other attempt.

        A 429 is refused before anything is done; after a 503 a change may have taken place.
        """
        if answer.status != TOO_MANY_REQUESTS and not (answer.status == UNAVAILABLE and repeatable):
            return None
        wait = answer.retry_after()
        if wait is None or self._retries < 1 or wait > self._seconds:
            return None
        self._retries -= 1
        self._seconds -= wait
        return wait
