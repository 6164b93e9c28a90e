"""A day in five lines: users, failures by type, and the query that fails most."""

from torale import ToraleClient

with ToraleClient() as client:
    users = client.admin.get_stats()["users"]
    errors = client.admin.get_errors(hours=24, limit=1)
    queries = list(client.admin.iter_queries())

print(f"{users['total']} users, {users['new_7d']} of them new this week")
print(f"{errors['total']} failures today")
for kind, number in errors["error_types"].items():
    print(f"  {kind}: {number}")
if queries:
    worst = min(queries, key=lambda query: query["success_rate"])
    print(f"fails most: {worst['search_query']} ({worst['success_rate']:.0%} succeed)")
