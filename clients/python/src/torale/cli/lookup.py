"""A user of the command line, named by id or by email."""

from __future__ import annotations

from itertools import takewhile
from uuid import UUID

import typer

from torale import Admin
from torale.cli.output import note


def user_id(admin: Admin, id_or_email: str) -> str:
    """The id of a user, given as it is or as their whole email, in upper or lower case.

    Raises:
        typer.Exit: No user has this email, or several have; standard error says so.
    """
    if _is_uuid(id_or_email):
        return id_or_email
    folded = id_or_email.casefold()
    # A search is in the order of emails, so those that only begin with the text come after it.
    rows = takewhile(lambda row: (row["email"] or "").casefold() == folded, admin.iter_users(q=id_or_email))
    ids = [row["id"] for row in rows]
    if len(ids) != 1:
        note(f"error: {len(ids)} users have this email: {', '.join(ids)}" if ids else "error: no user with this email")
        raise typer.Exit(1)
    return ids[0]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
