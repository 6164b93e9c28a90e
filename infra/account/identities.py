"""A user of Clerk: first known to Clerk alone, then one row with the platform's user, at last deleted at Clerk."""

import platform_side as platform
import story
from account import Account, expect, same, until
from platform_side import (
    ADMIN_KEY,
    JOINED_SCHEDULE,
    JOINED_TASK,
    JOINED_USER,
    STAND_IN,
    WEBHOOK_CLERK_ID,
    Clerk,
    Commands,
)
from story import BAD, NOT_FOUND, SUCCESS, equal, refused


def _send(account: Account, notice: dict[str, object]) -> None:
    body, headers = platform.webhook(notice)
    found = account.request("POST", "/webhooks/clerk", body=body, headers=headers)
    equal(f"the webhook {notice['type']}", found, (SUCCESS, {"detail": "Accepted"}))


def _states(account: Account) -> dict[str, str]:
    """The states of the users that name the identity, by their ids."""
    users = story.answer(account, "/admin/users")["users"]
    return {user["id"]: user["state"] for user in users if user["clerk_user_id"] == WEBHOOK_CLERK_ID}


def webhook(account: Account) -> None:
    """A user of Clerk appears and logs in, a forged webhook changes nothing."""
    forged, headers = platform.webhook(
        platform.user_created(), secret="whsec_" + "bm90LXRoZS1zZWNyZXQtbm90LXRoZS1zZWNyZXQ="
    )
    equal("a forged webhook", account.request("POST", "/webhooks/clerk", body=forged, headers=headers)[0], BAD)
    _send(account, platform.user_created())
    until("Clerk's user is listed", lambda: _states(account) == {STAND_IN: "active"})
    row = _stand_in(account)
    equal("the new user", (row["email"], row["last_login"]), (platform.WEBHOOK_USER, None))
    _send(account, platform.session_created())
    until("the login is listed", lambda: _stand_in(account)["last_login"])


def _stand_in(account: Account) -> dict[str, object]:
    users = story.answer(account, "/admin/users")["users"]
    return next(user for user in users if user["id"] == STAND_IN)


def joined(account: Account, clerk: Clerk, commands: Commands) -> None:
    """Clerk's user is deactivated, then created by the platform under two ids: what is done to one holds for both."""
    path = f"/admin/users/{STAND_IN}"
    expected = {"message": "User deactivated successfully", "tasks_paused": 0, "user_id": STAND_IN}
    equal("the deactivation", account.request("PATCH", f"{path}/deactivate", ADMIN_KEY), (SUCCESS, expected))
    until("Clerk is asked for the ban", lambda: clerk.banned == [WEBHOOK_CLERK_ID])
    clerk.banned.clear()
    platform.send(account, platform.joined())
    until("the two are one row", lambda: _states(account) == {JOINED_USER: "deactivated"})
    until("their task is paused", lambda: same(commands.receive(), {("task.pause", JOINED_TASK)}))
    commands.received.clear()
    until("their login is blocked as well", lambda: clerk.banned == [WEBHOOK_CLERK_ID])
    clerk.banned.clear()
    refused(account, "PATCH", f"{path}/reactivate", NOT_FOUND, ADMIN_KEY)
    created = platform.event(
        "user.created", user_id=STAND_IN, clerk_user_id=WEBHOOK_CLERK_ID, email="second@example.com"
    )
    platform.send(account, [created])
    until("the second user is listed", lambda: STAND_IN in _states(account))
    answered = (SUCCESS, {"message": "User reactivated successfully", "user_id": STAND_IN})
    until("both may come back", lambda: account.request("PATCH", f"{path}/reactivate", ADMIN_KEY) == answered)
    # That the other one is active follows from the event, which the relay sends to the consumer.
    until("both are active", lambda: _states(account) == {STAND_IN: "active", JOINED_USER: "active"})


def deleted(account: Account, clerk: Clerk, commands: Commands) -> None:
    """A deletion at Clerk deactivates both: what they have is stopped, and nobody is banned who is gone."""
    clerk.banned.clear()
    _send(account, platform.user_deleted())
    until("both are deactivated", lambda: _states(account) == {STAND_IN: "deactivated", JOINED_USER: "deactivated"})
    until("the task is paused", lambda: ("task.pause", JOINED_TASK) in commands.receive())
    equal("its schedules", commands.schedules[JOINED_TASK], [JOINED_SCHEDULE])
    until("the outbox is empty", lambda: story.outbox(account) == 0)
    expect(WEBHOOK_CLERK_ID not in clerk.banned, "a deleted identity was banned")
