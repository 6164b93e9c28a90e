"""What can go wrong. Everything this package raises is a `ToraleAPIError`."""

from __future__ import annotations

from torale.types import Fault


class ToraleAPIError(Exception):
    """A call that did not succeed.

    Attributes:
        status_code: The HTTP status, or None if there was no answer of the API's.
        detail: What the API says: a text, or after a 422 the list of faults.
        request_id: The API's name for the request, to look it up in the audit trail and the logs.
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
    """401: the key or session token is not, or no longer, anyone's."""


class ForbiddenError(ToraleAPIError):
    """403: the credentials are not an admin's."""


class NotFoundError(ToraleAPIError):
    """404: there is no such user, or no such path (then the API URL is likely wrong)."""


class ConflictError(ToraleAPIError):
    """409: what is asked contradicts the present state; `detail` says how."""


class PayloadTooLargeError(ToraleAPIError):
    """413: the body is over the endpoint's limit."""


class ValidationError(ToraleAPIError):
    """422: parameters are malformed or out of range; `faults` lists all of them."""

    @property
    def faults(self) -> list[Fault]:
        """One entry a fault, as the API lists them."""
        return self.detail if isinstance(self.detail, list) else []


class RateLimitError(ToraleAPIError):
    """429: too many requests. `retry_after` says after how many seconds there may be another."""

    retry_after: float = 60.0
    """A minute if the answer does not tell."""


class ServerError(ToraleAPIError):
    """500 and above: not the caller's fault. `retry_after` is in seconds, None if the answer does not tell."""

    retry_after: float | None = None


class UnexpectedResponseError(ToraleAPIError):
    """An answer that is not the API's: a redirect, no JSON, another shape. Is the API URL right?"""


class ToraleConnectionError(ToraleAPIError):
    """The API could not be reached, or the connection broke; a change may or may not have taken place."""


class ToraleTimeoutError(ToraleConnectionError):
    """The API did not answer in time; a change may or may not have taken place."""


class ConfigurationError(ToraleAPIError):
    """No request was made: key, URL or the environment's network settings can't be used, or the client is closed."""
