"""Active users who have not logged in for some days: `idle_users.py DAYS`."""

import asyncio
import sys
from datetime import datetime, timedelta, timezone

from torale import AsyncToraleClient


async def main(days: int) -> None:
    """Prints the email and last login, or creation, of each."""
    long_ago = datetime.now(timezone.utc) - timedelta(days=days)
    async with AsyncToraleClient() as client:
        async for user in client.admin.iter_users(active_only=True):
            seen = user["last_login"] or user["created_at"]
            if datetime.fromisoformat(seen.replace("Z", "+00:00")) < long_ago:
                print(user["email"], seen[:10])


asyncio.run(main(int(sys.argv[1])))
