"""Every refusal of a real stack, and the exception that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from conftest import PER_MINUTE, connect
from scenario import ADA, ADMIN, ago, api_key, user
from stack import Stack, free_ports
from torale import (
    Admin,
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    ToraleAPIError,
    ToraleConnectionError,
    ValidationError,
)


@pytest.fixture
def newcomer(stack: Stack, kind: str) -> Iterator[Admin]:
    """A user with an API key, who is no admin."""
    user_id, key = "d0000000-0000-4000-8000-000000000001", f"sk_{uuid4().hex}"
    # A user without `user.created` is neither listed nor counted, so other tests are not affected.
    stack.send([api_key(user_id, key)])
    with connect(kind, key, stack.url) as newcomer:
        yield newcomer


def test_401_unknown_key(stack: Stack, kind: str) -> None:
    with connect(kind, "sk_unknown_0123456789_0123", stack.url) as admin:
        with pytest.raises(AuthenticationError, match=r"^Invalid API key \(HTTP 401\)$") as caught:
            admin.get_stats()
        assert caught.value.status_code == 401
        assert caught.value.detail == "Invalid API key"
        assert caught.value.request_id


def test_403_caller_is_no_admin(newcomer: Admin) -> None:
    with pytest.raises(ForbiddenError, match="Admin access required"):
        newcomer.deactivate_user(ADA)


def test_404_unknown_user(admin: Admin) -> None:
    for change in (admin.deactivate_user, admin.reactivate_user):
        with pytest.raises(NotFoundError, match="User not found"):
            change(str(uuid4()))


def test_404_unknown_path(stack: Stack, kind: str) -> None:
    with connect(kind, stack.key, f"{stack.url}/v1/") as admin:
        with pytest.raises(NotFoundError, match=r"^Not Found"):
            admin.get_stats()


def test_409_deactivating_oneself(admin: Admin) -> None:
    with pytest.raises(ConflictError) as caught:
        admin.deactivate_user(ADMIN)
    assert caught.value.detail == "Administrators cannot deactivate themselves"


def test_413_body_over_its_limit(admin: Admin) -> None:
    with pytest.raises(PayloadTooLargeError, match="Payload too large"):
        admin.deactivate_users(["x" * 20_000])


def test_422_lists_every_error(admin: Admin) -> None:
    with pytest.raises(ValidationError) as caught:
        admin.get_errors(hours=0, limit=101)
    assert [fault["loc"] for fault in caught.value.faults] == [["query", "hours"], ["query", "limit"]]
    assert str(caught.value) == (
        "hours: Input should be greater than or equal to 1; limit: Input should be less than or equal to 100 (HTTP 422)"
    )


@pytest.mark.parametrize("wrong", ["me", "a/b?c#d", "%2e%2e", "", ".", "..", "é"])
def test_422_malformed_id_stays_one_segment_of_the_path(admin: Admin, wrong: str) -> None:
    for change in (admin.deactivate_user, admin.reactivate_user):
        with pytest.raises(ValidationError, match="id: "):
            change(wrong)
    with pytest.raises(ValidationError, match="user_ids: "):
        admin.deactivate_users([])


def test_429_over_the_limit(changing: Stack, kind: str) -> None:
    user_id, key = str(uuid4()), f"sk_{uuid4().hex}"
    changing.send([user(user_id, user_id[:8], ago(days=3), role="admin"), api_key(user_id, key)])
    with connect(kind, key, changing.url, max_wait=0) as admin:
        for _ in range(PER_MINUTE):
            admin.get_stats()
        with pytest.raises(RateLimitError, match="Rate limit exceeded") as caught:
            admin.get_stats()
        assert caught.value.status_code == 429
        assert 1 <= caught.value.retry_after <= 66


def test_429_is_retried_after_the_announced_seconds(
    changing: Stack, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("torale._sync.client.sleep", slept.append)
    monkeypatch.setattr("torale._async.client.sleep", sleep)
    user_id, key = str(uuid4()), f"sk_{uuid4().hex}"
    changing.send([user(user_id, user_id[:8], ago(days=3), role="admin"), api_key(user_id, key)])
    with connect(kind, key, changing.url) as admin:
        for _ in range(PER_MINUTE):
            admin.get_stats()
        with pytest.raises(RateLimitError):
            admin.get_stats()
    # No time passes in this test, so the retry is refused, too; a second wait would exceed `max_wait`.
    assert len(slept) == 1
    assert 0 < slept[0] <= 66


def test_connection_refused(kind: str) -> None:
    with connect(kind, "sk_0123456789", f"http://127.0.0.1:{free_ports(1)[0]}") as admin:
        with pytest.raises(ToraleConnectionError, match="can't be reached") as caught:
            admin.get_stats()
        assert isinstance(caught.value, ToraleAPIError)
        assert caught.value.status_code is None
