"""What the API has to answer of Temporal's schedules and runs, from what Temporal's own command line says of them."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import quote

NAMESPACE = "default"


def moment(text: str) -> datetime:
    """A time as Temporal or the API writes it, cut to milliseconds."""
    whole, fraction = re.fullmatch(r"(.+T\d\d:\d\d:\d\d)(?:\.(\d+))?Z", text).groups()
    return datetime.fromisoformat(f"{whole}.{(fraction or '').ljust(3, '0')[:3]}000+00:00")


def shown(at: datetime) -> str:
    """As the API shows it: whole seconds where there is no fraction, else milliseconds."""
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


class TemporalCli:
    """The server of the simulated platform, asked with `temporal`."""

    def __init__(self, program: str, address: str):
        self.program, self.address = program, address

    def run(self, *words: str) -> str:
        command = [self.program, *words, "--address", self.address, "--output", "json"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def schedule_ids(self) -> list[str]:
        return [schedule["scheduleId"] for schedule in json.loads(self.run("schedule", "list"))]

    def set_paused(self, schedule: str, paused: bool):
        self.run("schedule", "toggle", "--schedule-id", schedule, "--pause" if paused else "--unpause", "--reason", "smoke test")

    def schedules(self) -> dict[str, dict]:
        """All schedules by their ids: `created`, `paused`, and `next`, the times at which each fires next.

        Each is described by itself: the list is what the visibility store has, which may be late.
        """
        def described(schedule: str) -> dict:
            answer = json.loads(self.run("schedule", "describe", "--schedule-id", schedule))
            info = answer["info"]
            return {"created": moment(info["createTime"]), "paused": answer["schedule"]["state"].get("paused", False),
                    "next": [moment(at) for at in info.get("futureActionTimes", [])]}

        ids = self.schedule_ids()
        with ThreadPoolExecutor(4) as threads:
            return dict(zip(ids, threads.map(described, ids)))

    def workflows(self) -> list[dict]:
        """All runs as rows of the API, newest first; in `temporal_ui_url` without the address of the user interface."""
        runs = [workflow(run) for run in json.loads(self.run("workflow", "list"))]
        return sorted(runs, key=newest_first)


def workflow(run: dict) -> dict:
    workflow_id, run_id = run["execution"]["workflowId"], run["execution"]["runId"]
    status = run["status"].removeprefix("WORKFLOW_EXECUTION_STATUS_")
    started = moment(run["startTime"])
    closed = None if status == "RUNNING" else moment(run["closeTime"])
    return {
        "workflow_id": workflow_id, "workflow_type": run["type"]["name"], "status": status,
        "start_time": shown(started), "close_time": closed and shown(closed),
        "execution_duration_ms": closed and max(0, round((closed - started).total_seconds() * 1000)),
        "temporal_ui_url": f"/namespaces/{NAMESPACE}/workflows/{quote(workflow_id, safe='')}/{run_id}/history",
    }


def newest_first(row: dict) -> tuple:
    """A key to sort rows by; those of the same millisecond by their addresses, since the contract leaves them open."""
    return -moment(row["start_time"]).timestamp(), row["temporal_ui_url"]


def schedule_path(schedule: str) -> str:
    return f"/namespaces/{NAMESPACE}/schedules/{quote(schedule, safe='')}"
