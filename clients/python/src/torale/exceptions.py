"""The exceptions of this package: all are a `ToraleAPIError`."""

from __future__ import annotations

from torale.types import Fault


class ToraleAPIError(Exception):
    """A call that did not succeed.

    Attributes:
        status_code: The HTTP status; None if the API did not answer.
        detail: The API's `detail`: a text, or after a 422 the list of errors.
        request_id: The API's id of the request, to find it in the audit trail and the logs.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        detail: str | list[Fault] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.detail = detail
        self.request_id = request_id


class AuthenticationError(ToraleAPIError):
    """401: the API key or session token is unknown, expired or revoked, or its user is deactivated."""


class ForbiddenError(ToraleAPIError):
    """403: the caller is not an admin."""


class NotFoundError(ToraleAPIError):
    """404: there is no such user, or no such path (then the API URL is likely wrong)."""


class ConflictError(ToraleAPIError):
    """409: the request contradicts the present state; `detail` says how."""


class PayloadTooLargeError(ToraleAPIError):
    """413: the body is over the endpoint's limit."""


class ValidationError(ToraleAPIError):
    """422: parameters are malformed or out of range; `faults` has one entry for each error."""

    @property
    def faults(self) -> list[Fault]:
        """The errors as the API lists them."""
        return self.detail if isinstance(self.detail, list) else []


class RateLimitError(ToraleAPIError):
    """429: too many requests. `retry_after` is the seconds until the next one is allowed."""

    retry_after: float = 60.0
    """In seconds; 60 if the answer does not say."""


class ServerError(ToraleAPIError):
    """500 and above: an error of the server. `retry_after` in seconds, None if not given."""

    retry_after: float | None = None


class UnexpectedResponseError(ToraleAPIError):
    """An answer that is not the API's: a redirect, no JSON, other fields. Is the API URL right?"""


class ToraleConnectionError(ToraleAPIError):
    """The API could not be reached, or the connection broke; a change may or may not have taken place."""


class ToraleTimeoutError(ToraleConnectionError):
    """The API did not answer in time; a change may or may not have taken place."""


class ConfigurationError(ToraleAPIError):
    """No request was sent: key, URL or network settings can't be used, or the client is closed."""
