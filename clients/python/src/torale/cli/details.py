"""What is known of one execution, task or user, and who says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType

from torale.cli.output import cell, count, duration, now, when
from torale.cli.tables import Row, schedule_table, state, table
from torale.types import ApiKey, ExecutionDetail, Health, HistoryEntry, TaskDetail, UserDetail


def _facts(rows: Sequence[Row]) -> RenderableType:
    return table(["What", "Value"], [[cell(name), value] for name, value in rows])


def _history(entries: Sequence[HistoryEntry], at: datetime) -> RenderableType:
    """Which event decided which fields, the latest first."""
    rows = [
        (
            when(entry["time"], at),
            cell(entry["type"].removeprefix("ai.torale.")),
            cell(", ".join(entry["fields"])),
            cell(entry["source"]),
            cell(entry["id"]),
        )
        for entry in entries
    ]
    return table(["At", "Event", "Decides", "Source", "Event id"], rows)


def execution(answer: ExecutionDetail) -> RenderableType:
    """One execution."""
    at = now()
    met = {None: "-", True: "yes", False: "no"}
    facts: list[Row] = [
        ("id", cell(answer["id"])),
        ("task", cell(answer["task_id"])),
        ("query", cell(answer["search_query"])),
        ("user", cell(answer["user_id"])),
        ("email", cell(answer["user_email"])),
        ("status", state(answer["status"])),
        ("condition met", cell(met[answer["condition_met"]])),
        ("started", cell(when(answer["started_at"], at))),
        ("completed", cell(when(answer["completed_at"], at))),
        ("duration", cell(duration(answer["duration_ms"]))),
    ]
    if answer["error_type"] is not None:
        facts += [
            ("error", cell(answer["error_type"], "red")),
            ("message", cell(answer["error_message"])),
            ("retries", cell(answer["retry_count"])),
            ("will retry", cell(met[answer["will_retry"]])),
        ]
    return Group(_facts(facts), "", _history(answer["history"], at))


def task(answer: TaskDetail) -> RenderableType:
    """One task with its schedules."""
    at = now()
    last = answer["last_execution"]
    facts: list[Row] = [
        ("id", cell(answer["id"])),
        ("name", cell(answer["name"])),
        ("query", cell(answer["search_query"])),
        ("user", cell(answer["user_id"])),
        ("email", cell(answer["user_email"])),
        ("state", state(answer["state"])),
        ("schedule", cell(answer["schedule"])),
        ("created", cell(when(answer["created_at"], at))),
        ("executions", cell(count(answer["total_executions"]))),
        ("success", cell(f"{answer['success_rate']:.0%}")),
        ("average duration", cell(duration(answer["avg_duration_ms"]))),
        ("next run", cell(when(answer["next_run_time"], at))),
    ]
    if last is not None:
        facts.append(("last execution", cell(f"{last['id']}, {last['status']}, {when(last['started_at'], at)}")))
    return Group(_facts(facts), "", schedule_table(answer["schedules"], at), "", _history(answer["history"], at))


def user(answer: UserDetail) -> RenderableType:
    """One user with their API keys."""
    at = now()
    deactivation = answer["deactivation"]
    facts: list[Row] = [
        ("id", cell(answer["id"])),
        ("email", cell(answer["email"])),
        ("Clerk", cell(answer["clerk_user_id"])),
        ("role", cell(answer["role"])),
        ("state", state(answer["state"])),
        ("active tasks", cell(f"{count(answer['active_tasks_count'])} of {count(answer['tasks_count'])}")),
        ("executions in 24 h", cell(count(answer["executions_24h"]))),
        ("notifications in 7 d", cell(count(answer["notifications_7d"]))),
        ("created", cell(when(answer["created_at"], at))),
        ("last login", cell(when(answer["last_login"], at))),
    ]
    if deactivation is not None:
        facts += [
            ("deactivated", cell(when(deactivation["at"], at))),
            ("by", cell(deactivation["by"])),
            ("tasks paused", cell(deactivation["tasks_paused"])),
            ("commands pending", cell(count(deactivation["commands_pending"]))),
        ]
    return Group(_facts(facts), "", _keys(answer["api_keys"], at), "", _history(answer["history"], at))


def _keys(keys: Sequence[ApiKey], at: datetime) -> RenderableType:
    rows = [
        (
            cell(key["key_id"]),
            cell(key["key_prefix"]),
            cell(key["name"]),
            cell("revoked", "yellow") if key["revoked"] else cell("good", "green"),
            when(key["created_at"], at),
            when(key["last_used_at"], at),
        )
        for key in keys
    ]
    return table(["Key", "Prefix", "Name", "State", "Created", "Last used"], rows)


def health(answer: Health) -> RenderableType:
    """How the system itself is doing."""
    at = now()
    live, shadow = answer["live_generation"], answer["shadow_generation"]
    outbox, quarantine = answer["outbox"], answer["quarantine"]
    facts: list[Row] = [("live generation", cell(live["name"])), ("shadow generation", cell(None))]
    if shadow is not None:
        written = f"written since {when(shadow['since'], at)}"
        complete = "complete" if shadow["complete"] else "not complete"
        facts[1] = ("shadow generation", cell(f"{shadow['name']}, {complete}, {written}"))
    facts += [
        ("events waiting", cell(count(answer["events_waiting"]))),
        ("outbox entries", cell(_at_least(outbox["entries"], capped=outbox["capped"]))),
        ("age of the oldest", cell(duration(outbox["age_ms"]) if outbox["oldest_at"] else None)),
        ("quarantined messages", cell(_at_least(quarantine["messages"], capped=quarantine["capped"]))),
    ]
    return _facts(facts)


def _at_least(number: int, *, capped: bool) -> str:
    return f"at least {count(number)}" if capped else count(number)
