"""From a number to its cause: the tasks that fail with the most frequent error of the last day."""

from collections import Counter

from torale import NotFoundError, ToraleClient

with ToraleClient() as client:
    types = client.admin.get_errors(limit=1)["error_types"]
    for kind in list(types)[:1]:
        print(f"{kind}: {types[kind]} of {sum(types.values())} failures")
        tasks = Counter(error["task_id"] for error in client.admin.iter_errors(error_type=kind))
        for task_id, failures in tasks.most_common(10):
            try:
                task = client.admin.get_task(task_id)
            except NotFoundError:
                print(f"{failures}: {task_id} (deleted)")
            else:
                print(f"{failures}: {task['search_query']} ({task['user_email']}, {task['success_rate']:.0%} succeed)")
