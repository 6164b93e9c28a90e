"""Rules of alarms and dashboard: everything that can go wrong raises an alarm, soon, about a
metric that exists. The documented thresholds are checked by thresholds.py, all values by expanded.yaml.
"""

import json
import re
from pathlib import Path

# The source of each namespace's metrics.
SOURCES = {
    "Torale/Admin": "functions/metrics/src/lib.rs",
    "Torale/Consumer": "functions/consumer/src/lib.rs",
    "Torale/Commands": "functions/command-executor/src/lib.rs",
    "Torale/Outbox": "functions/outbox-relay/src/lib.rs",
    "Torale/Audit": "functions/audit-seal/src/lib.rs",
    "Torale/Postgres": "functions/postgres-relay/src/lib.rs",
    "Torale/Temporal": "functions/temporal-sync/src/lib.rs",
    "Torale/Access": "shared/platform/src/authentication.rs",
}
# In the code a metric's name is the first argument or element.
METRIC_NAME = re.compile(r'(?:count\(|of\(|\()"([A-Z][A-Za-z0-9]+)"')
# The longest that an alarm may need to notice, in seconds.
SOON = 15 * 60
TOPIC = [{"Ref": "AlarmTopic"}]
# Metrics of log lines that an alarm must watch, since nothing else reports the fault.
ALARMED = {
    "StuckAge",
    "MissingSchedules",
    "OutboxLag",
    "OutboxTroubles",
    "SharedApiKeys",
    "TemporalLag",
    "TemporalTroubles",
}
SUM_OF_ALL = "SUM(METRICS())"
SELECT = 'SELECT SUM(ThrottledRequests) FROM SCHEMA("AWS/DynamoDB", TableName, Operation)'


def metrics_of_code(root: Path) -> dict[str, set[str]]:
    """The metrics that the functions publish, by namespace."""
    return {namespace: set(METRIC_NAME.findall((root / file).read_text())) for namespace, file in SOURCES.items()}


def of_type(resources: dict, kind: str) -> dict[str, dict]:
    """The properties of all resources of a type, by name."""
    return {name: r.get("Properties", {}) for name, r in resources.items() if r["Type"] == kind}


def metrics_of_alarm(alarm: dict) -> list[dict]:
    """The metrics of an alarm that has one, or the sum of several."""
    if "MetricName" in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]


def watched(alarms: dict[str, dict], metric: str, dimension: str) -> list:
    """The resources whose metric raises an alarm as soon as it is above 0."""
    found = []
    for alarm in alarms.values():
        for each in metrics_of_alarm(alarm):
            if each["MetricName"] == metric and alarm["Threshold"] == 0:
                found += [d["Value"] for d in each["Dimensions"] if d["Name"] == dimension]
    return found


def _queue(name: str) -> list[dict]:
    """The dimensions of a queue's metrics."""
    return [{"Name": "QueueName", "Value": {"Fn::GetAtt": [name, "QueueName"]}}]


def unwatched(resources: dict, alarms: dict[str, dict]) -> list[str]:
    """Functions, schedules and queues that may fail without an alarm."""
    queues = of_type(resources, "AWS::SQS::Queue")
    dead_letters = [
        {"Fn::GetAtt": [name, "QueueName"]} for name, queue in queues.items() if "RedrivePolicy" not in queue
    ]
    functions = [{"Ref": name} for name in of_type(resources, "AWS::Lambda::Function")]
    rules = [{"Ref": name} for name in of_type(resources, "AWS::Events::Rule")]
    found = []
    for metric, dimension, all_of_them in [
        ("Errors", "FunctionName", functions),
        ("Throttles", "FunctionName", functions),
        ("FailedInvocations", "RuleName", rules),
        ("ApproximateNumberOfMessagesVisible", "QueueName", dead_letters),
    ]:
        known = watched(alarms, metric, dimension)
        found += [f"no alarm about {metric} of {json.dumps(one)}" for one in all_of_them if one not in known]
    # SQS deletes what nobody receives, and no dead-letter queue gets it: only its age is a warning.
    ages = [a["Dimensions"] for a in alarms.values() if a.get("MetricName") == "ApproximateAgeOfOldestMessage"]
    received = [name for name, queue in queues.items() if "RedrivePolicy" in queue]
    return found + [f"no alarm about the age of what waits in {name}" for name in received if _queue(name) not in ages]


def shown(resources: dict) -> set[tuple[str, str]]:
    """Our own metrics that the dashboard shows."""
    widgets = [
        widget
        for dashboard in of_type(resources, "AWS::CloudWatch::Dashboard").values()
        for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    ]
    rows = [row for widget in widgets for row in widget["properties"]["metrics"]]
    named = {(row[0], row[1]) for row in rows if isinstance(row[0], str)}
    return {(namespace, name) for namespace, name in named if namespace in SOURCES}


def metrics(resources: dict, alarms: dict[str, dict], root: Path) -> list[str]:
    """Metrics that nothing publishes, and metrics that nobody sees."""
    code = metrics_of_code(root)
    alarmed = {(m["Namespace"], m["MetricName"]) for alarm in alarms.values() for m in metrics_of_alarm(alarm)}
    ours = {(namespace, name) for namespace, name in alarmed | shown(resources) if namespace in SOURCES}
    unknown = [(space, name) for space, name in sorted(ours) if name not in code[space]]
    found = [f"{space}/{name}: no function publishes it" for space, name in unknown]
    admin = {("Torale/Admin", name) for name in code["Torale/Admin"]}
    faults = {(space, name) for space, names in code.items() for name in names & ALARMED}
    found += [f"Torale/Admin/{name}: in no alarm and on no dashboard" for _, name in sorted(admin - ours)]
    return found + [f"{space}/{name}: in no alarm" for space, name in sorted(faults - alarmed)]


def alarm_findings(name: str, alarm: dict) -> list[str]:
    """Rules of a single alarm."""
    of_ours = alarm.get("Namespace") in SOURCES
    queries = alarm.get("Metrics", [])
    parts = [alarm, *queries, *(query.get("MetricStat", {}) for query in queries)]
    periods = [part["Period"] for part in parts if "Period" in part]
    expressions = [query["Expression"] for query in queries if "Expression" in query]
    is_age_of_job = alarm.get("Namespace") == "Torale/Admin" and alarm["MetricName"].endswith("AgeSeconds")
    rules = {
        "does not notify AlarmTopic": alarm.get("AlarmActions") == alarm.get("OKActions") == TOPIC,
        "is switched off": alarm.get("ActionsEnabled", True) is True,
        "is not raised by high values": alarm.get("ComparisonOperator") == "GreaterThanThreshold",
        "is not about the highest value or the sum": alarm.get("Statistic", "Sum") in ("Maximum", "Sum"),
        f"needs more than {SOON} s": 0 < max(periods, default=0) * alarm["EvaluationPeriods"] <= SOON,
        "has dimensions that no function publishes": not (of_ours and "Dimensions" in alarm),
        "is not about the sum of its metrics": not expressions or expressions[0] in (SUM_OF_ALL, SELECT),
        # Such an age is published every minute, so that none means a job that has stopped.
        "takes silence for health": not is_age_of_job or alarm.get("TreatMissingData") == "breaching",
    }
    return [f"{name}: {broken}" for broken, holds in rules.items() if not holds]


def findings(template: dict, root: Path) -> list[str]:
    """Alarms that are missing, silent or late, and metrics that do not exist."""
    resources = template["Resources"]
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    found = metrics(resources, alarms, root) + unwatched(resources, alarms)
    for name, alarm in alarms.items():
        found += alarm_findings(name, alarm)
    # CloudWatch cannot publish to a topic that is encrypted with a key of AWS's own.
    if of_type(resources, "AWS::SNS::Topic") != {"AlarmTopic": {}}:
        found.append("there must be one topic, AlarmTopic, without properties")
    if template["Parameters"]["LagAlarmSeconds"]["Default"] != 300:
        found.append("LagAlarmSeconds: the documented lag is five minutes")
    return found


def _set(alarm: str, key: str, value):
    def worsen(resources: dict) -> None:
        resources[alarm].setdefault("Properties", {})[key] = value

    return worsen


def _remove(name: str):
    def worsen(resources: dict) -> None:
        del resources[name]

    return worsen


# Each of these must be noticed.
WORSE = [
    ("an alarm about a metric that does not exist", _set("NewErrorsAlarm", "MetricName", "NewErrors")),
    ("an alarm that notifies nobody", _set("ProjectionLagAlarm", "AlarmActions", [])),
    ("dead letters without an alarm", _remove("EventsDeadLettersAlarm")),
    ("jobs that fail without an alarm", _remove("JobsErrorsAlarm")),
    ("throttled readers without an alarm", _remove("ReadersThrottlesAlarm")),
    ("schedules that fail without an alarm", _remove("SchedulesAlarm")),
    ("no dashboard", _remove("Dashboard")),
    ("lag of another queue", _set("ProjectionLagAlarm", "Dimensions", _queue("CommandsQueue"))),
    ("commands that nobody receives without an alarm", _remove("CommandsLagAlarm")),
    ("commands that fail without an alarm", _remove("CommandsStuckAlarm")),
    ("schedules that are missing without an alarm", _remove("MissingSchedulesAlarm")),
    ("keys of several users without an alarm", _remove("SharedApiKeysAlarm")),
    ("a broken chain noticed after days", _set("AuditBrokenAlarm", "Period", 86_400)),
    ("the lowest value", _set("OutboxAgeAlarm", "Statistic", "Minimum")),
    ("an hour of high values", _set("OutboxAgeAlarm", "EvaluationPeriods", 60)),
    ("a dimension that no function publishes", _set("SetAsideAlarm", "Dimensions", _queue("EventsQueue"))),
    ("an alarm that is switched off", _set("ApiFaultsAlarm", "ActionsEnabled", False)),
    ("one function for all", _set("JobsErrorsAlarm", "Metrics", [{"Id": "all", "Expression": "m0"}])),
    ("silence of the outbox taken for health", _set("OutboxAgeAlarm", "TreatMissingData", "notBreaching")),
    ("a topic to which CloudWatch cannot publish", _set("AlarmTopic", "KmsMasterKeyId", "alias/aws/sns")),
]
