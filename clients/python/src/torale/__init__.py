"""Torale's admin API: `ToraleClient`, and `AsyncToraleClient` with the same methods to await."""

from torale._async.admin import AsyncAdmin
from torale._async.client import AsyncToraleClient
from torale._sync.admin import Admin
from torale._sync.client import ToraleClient
from torale._version import __version__
from torale.exceptions import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    ServerError,
    ToraleAPIError,
    ToraleConnectionError,
    ToraleTimeoutError,
    UnexpectedResponseError,
    ValidationError,
)

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncToraleClient",
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "ForbiddenError",
    "NotFoundError",
    "PayloadTooLargeError",
    "RateLimitError",
    "ServerError",
    "ToraleAPIError",
    "ToraleClient",
    "ToraleConnectionError",
    "ToraleTimeoutError",
    "UnexpectedResponseError",
    "ValidationError",
    "__version__",
]
