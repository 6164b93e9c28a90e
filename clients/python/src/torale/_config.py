"""API key and URL: from arguments, else the environment, else `~/.torale/config.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import httpx

from torale.exceptions import ConfigurationError

CONFIG_FILE = Path("~/.torale/config.json")


@dataclass(frozen=True)
class Settings:
    """An API key, and the URL of the only host to which it is sent."""

    api_key: str = field(repr=False)
    api_url: str

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted; if not, the host is this machine."""
        return self.api_url.startswith("https:")


def resolve(api_key: str | None, api_url: str | None) -> Settings:
    """Finds key and URL. The file is read only if one of them is missing.

    Raises:
        ConfigurationError: One of them is missing, malformed or can't be read. There is no default
            URL: a key must never be sent to a host that nobody chose.
    """
    key = api_key or os.environ.get("TORALE_API_KEY")
    url = api_url or os.environ.get("TORALE_API_URL")
    file: Mapping[str, object] = {} if key and url else _read(CONFIG_FILE)
    key = key or _text(file, "api_key")
    url = url or _text(file, "api_url")
    if not key:
        raise ConfigurationError(_missing("API key", "api_key", "TORALE_API_KEY"))
    if not url:
        raise ConfigurationError(_missing("API URL", "api_url", "TORALE_API_URL"))
    return Settings(_checked_key(key), _checked_url(url))


def _missing(what: str, name: str, variable: str) -> str:
    return f"no {what}: pass {name}, set {variable}, or put {name} into {CONFIG_FILE}"


def _read(path: Path) -> Mapping[str, object]:
    try:
        content: object = json.loads(path.expanduser().read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, RuntimeError, ValueError) as error:
        # The JSON parser's error holds the whole text, and so the key.
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise ConfigurationError(f"{path} can't be read: {reason}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} should hold a JSON object")
    return cast("dict[str, object]", content)


def _text(file: Mapping[str, object], name: str) -> str | None:
    value = file.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ConfigurationError(f"{CONFIG_FILE}: {name} should be a text")


def _checked_key(key: str) -> str:
    # Other characters are invalid in a header; the HTTP library's error would show them.
    if not all("!" <= character <= "~" for character in key):
        raise ConfigurationError("the API key holds blanks or other characters that no key has")
    return key


def _checked_url(text: str) -> str:
    try:
        url = httpx.URL(text)
        # Fails for names that can't be resolved: empty labels, and labels over 63 characters.
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise ConfigurationError("the API URL can't be read") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError("the API URL should look like https://host")
    # An empty query or fragment shows only in the text.
    if url.userinfo or "?" in text or "#" in text:
        raise ConfigurationError("the API URL should have no credentials, query or fragment")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise ConfigurationError(f"the key would be sent to {url.host} unencrypted: use https")
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
