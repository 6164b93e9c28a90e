"""The sources of key and URL, and those that are refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torale import ConfigurationError, ToraleAPIError, ToraleClient
from torale._config import Settings, resolve

KEY, OTHER = "sk_first_0123456789", "sk_other_0123456789"
URL, ELSEWHERE = "https://api.example.com", "https://elsewhere.example.com"


def write(content: str) -> Path:
    path = Path.home() / ".torale" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_arguments_precede_the_environment_and_it_precedes_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write(json.dumps({"api_key": OTHER, "api_url": ELSEWHERE, "output_format": "table"}))
    assert resolve(None, None) == Settings(OTHER, ELSEWHERE)
    monkeypatch.setenv("TORALE_API_URL", URL)
    assert resolve(None, None) == Settings(OTHER, URL)
    monkeypatch.setenv("TORALE_API_KEY", KEY)
    assert resolve(None, None) == Settings(KEY, URL)
    assert resolve(OTHER, ELSEWHERE) == Settings(OTHER, ELSEWHERE)
    monkeypatch.setenv("TORALE_API_KEY", "")
    assert resolve(None, None) == Settings(OTHER, URL), "what is empty is not set"


def test_there_is_no_default_url_or_key() -> None:
    with pytest.raises(ConfigurationError, match="no API URL: pass api_url, set TORALE_API_URL") as caught:
        ToraleClient(KEY)
    assert isinstance(caught.value, ToraleAPIError)
    with pytest.raises(ConfigurationError, match="no API key: pass api_key, set TORALE_API_KEY"):
        ToraleClient(api_url=URL)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f'{{"api_key": "{KEY}",', "can't be read: JSONDecodeError"),
        ("[]", "should hold a JSON object"),
        ('{"api_key": 5}', "api_key should be a text"),
        ('{"api_url": ["x"]}', "api_url should be a text"),
        ("{}", "no API key"),
    ],
)
def test_malformed_file_is_named_but_not_quoted(content: str, reason: str) -> None:
    write(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve(None, None)
    assert "~/.torale/config.json" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_unreadable_file_is_an_error_only_if_it_is_needed() -> None:
    path = write("")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match="can't be read: Is a directory"):
        resolve(KEY, None)
    assert resolve(KEY, URL) == Settings(KEY, URL)


@pytest.mark.parametrize("key", ["sk_a b", "sk_a\n", "sk_é", " ", "sk_\x00"])
def test_key_with_invalid_characters_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the API key holds blanks") as caught:
        resolve(key, URL)
    assert key not in str(caught.value).replace(" ", "", 1) or key == " "


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("api.example.com", "should look like https://host"),
        ("ftp://example.com", "should look like https://host"),
        ("https://", "should look like https://host"),
        ("https://[::1", "can't be read"),
        ("https://..", "can't be read"),
        (f"https://{'x' * 64}.example.com", "can't be read"),
        ("https://user:secret@example.com", "no credentials"),
        ("https://example.com?x=1", "no credentials, query"),
        ("https://example.com?", "no credentials, query"),
        ("https://example.com/#", "query or fragment"),
        ("http://example.com", "unencrypted: use https"),
        ("http://127.0.0.1.example.com", "unencrypted"),
        ("http://10.0.0.1", "unencrypted"),
        ("http://localhost.example.com", "unencrypted"),
    ],
)
def test_unsafe_or_malformed_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve(KEY, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://example.com/stage/", "https://example.com/stage"),
    ],
)
def test_http_is_accepted_for_this_machine(url: str, taken: str) -> None:
    assert resolve(KEY, url).api_url == taken


def test_unencrypted_key_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.example.com:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ToraleClient(KEY, "http://127.0.0.1:9") as client, pytest.raises(ToraleAPIError, match="refused"):
        client.admin.get_stats()


def test_settings_repr_hides_the_key() -> None:
    assert KEY not in repr(resolve(KEY, URL))
