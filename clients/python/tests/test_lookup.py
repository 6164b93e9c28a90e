"""Users named by their email on the command line. A stub replaces the network."""

from __future__ import annotations

import httpx
import pytest
import typer

from conftest import KEY
from torale import ServerError, ToraleClient
from torale.cli.lookup import user_id

ID = "a0000000-0000-4000-8000-0000000000{:02}"
EMAILS = ["ada@example.com", "ADA@example.com.au", "ada@example.community", "straße@example.com", "Ŝan@example.com"]


class Users:
    """Answers searches like the API: in the order of emails, page by page; records what was searched."""

    def __init__(self, *emails: str) -> None:
        self.rows = [{"id": ID.format(number), "email": email} for number, email in enumerate(emails)]
        self.searched: list[str] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        q, page, limit = (request.url.params[name] for name in ("q", "page", "limit"))
        self.searched.append(q)
        found = [row for row in self.rows if row["email"].casefold().startswith(q.casefold())]
        found.sort(key=lambda row: (row["email"].casefold(), row["id"]))
        start = (int(page) - 1) * int(limit)
        answer = {"users": found[start : start + int(limit)], "total": len(found), "total_capped": False}
        return httpx.Response(200, json={**answer, "page": int(page), "limit": int(limit)})

    def lookup(self, text: str) -> str:
        with ToraleClient(KEY, "https://api.example.com", transport=httpx.MockTransport(self.handle)) as client:
            return user_id(client.admin, text)


@pytest.mark.parametrize(
    ("text", "index"),
    [("ada@example.com", 0), ("Ada@Example.COM", 0), ("ada@example.com.AU", 1), ("Straße@example.com", 3)],
)
def test_user_whose_whole_email_is_given_is_found(text: str, index: int) -> None:
    assert Users(*EMAILS).lookup(text) == ID.format(index)


def test_letters_with_accents_have_cases_too() -> None:
    users = Users(*EMAILS)
    assert users.lookup("ŝAN@example.com") == ID.format(4)
    assert users.searched == ["ŝAN@example.com"], "the text is sent as it is"


def test_uuid_is_taken_as_it_is_and_not_searched() -> None:
    users = Users(*EMAILS)
    for text in (ID.format(77), ID.format(77).upper()):
        assert users.lookup(text) == text
    assert users.searched == []


@pytest.mark.parametrize("text", ["ada@example.co", "ada", "nobody@example.com", "%", "a0000000-0000"])
def test_email_of_no_user_exits_with_1(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        Users(*EMAILS).lookup(text)
    assert ended.value.exit_code == 1
    assert capsys.readouterr() == ("", "error: no user with this email\n")


def test_ids_of_several_users_with_an_email_are_listed_beyond_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    users = Users(*["Twin@example.com", "twin@example.com"] * 51, "twin@example.com.au")
    with pytest.raises(typer.Exit) as ended:
        users.lookup("twin@example.com")
    assert ended.value.exit_code == 1
    ids = [row["id"] for row in users.rows[:102]]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: 102 users have this email: ")
    assert sorted(err.strip().partition("email: ")[2].split(", ")) == sorted(ids)
    assert len(users.searched) == 2


def test_failure_of_the_search_is_the_error_of_the_command() -> None:
    down = httpx.MockTransport(lambda _: httpx.Response(503, json={"detail": "Service temporarily unavailable"}))
    with ToraleClient(KEY, "https://api.example.com", transport=down, max_retries=0) as client:
        with pytest.raises(ServerError, match="Service temporarily unavailable"):
            user_id(client.admin, "ada@example.com")
