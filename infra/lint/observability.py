"""Alarms and dashboard: of metrics that exist, about everything that can go wrong, to one topic."""

import json
import re
from pathlib import Path

# The thresholds that the product documents, and the alarms about the machinery.
THRESHOLDS = {
    "ErrorRate": 5,
    "AvgDurationMs": 10_000,
    "FailedExecutionsPerHour": 1_000,
    "NewErrorsPerHour": 100,
    "OutboxAgeSeconds": 300,
    "SetAside": 0,
}
# A metric of ours in the code: its name is the first thing that is said of it.
TOLD = re.compile(r'(?:count\(|of\(|\()"([A-Z][A-Za-z0-9]+)"')


def told(root: Path) -> dict[str, set[str]]:
    """The metrics that the code tells, by namespace."""
    names = {}
    for namespace, source in [("Torale/Admin", "metrics"), ("Torale/Consumer", "consumer")]:
        names[namespace] = set(TOLD.findall((root / f"functions/{source}/src/lib.rs").read_text()))
    return names


def of_type(resources: dict, kind: str) -> dict[str, dict]:
    return {name: r.get("Properties", {}) for name, r in resources.items() if r["Type"] == kind}


def single(alarm: dict) -> str | None:
    return alarm.get("MetricName")


def watched(alarms: dict[str, dict], metric: str) -> list[str]:
    """The functions whose metric some alarm adds up."""
    stats = [query["MetricStat"]["Metric"] for a in alarms.values() for query in a.get("Metrics", []) if "MetricStat" in query]
    return sorted(m["Dimensions"][0]["Value"]["Ref"] for m in stats if m["MetricName"] == metric)


def named(resources: dict) -> set[tuple[str, str]]:
    """Our metrics that alarms and dashboards name."""
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    found = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms if "Namespace" in alarm}
    for dashboard in of_type(resources, "AWS::CloudWatch::Dashboard").values():
        for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]:
            found |= {(m[0], m[1]) for m in widget["properties"]["metrics"] if isinstance(m[0], str)}
    return {(namespace, name) for namespace, name in found if namespace.startswith("Torale/")}


def faults(template: dict, root: Path) -> list[str]:
    """Alarms that are missing, wrong or silent, and metrics that nobody tells."""
    resources = template["Resources"]
    alarms, code = of_type(resources, "AWS::CloudWatch::Alarm"), told(root)
    found = [
        f"{namespace}/{name}: no function tells it"
        for namespace, name in sorted(named(resources)) if name not in code.get(namespace, set())
    ]
    shown = {name for namespace, name in named(resources) if namespace == "Torale/Admin"}
    found += [f"Torale/Admin/{name}: in no alarm and on no dashboard" for name in sorted(code["Torale/Admin"] - shown)]
    topics = list(of_type(resources, "AWS::SNS::Topic"))
    for name, alarm in alarms.items():
        if alarm.get("AlarmActions") != [{"Ref": topics[0]}] or len(topics) != 1:
            found.append(f"{name} does not go to the one topic")
    for metric, threshold in THRESHOLDS.items():
        if not any(single(a) == metric and a["Threshold"] == threshold
                   and a["ComparisonOperator"] == "GreaterThanThreshold" for a in alarms.values()):
            found.append(f"no alarm about {metric} over {threshold}")
    functions = sorted(of_type(resources, "AWS::Lambda::Function"))
    for metric in ["Errors", "Throttles"]:
        if watched(alarms, metric) != functions:
            found.append(f"{metric} of {set(functions) ^ set(watched(alarms, metric))}: not watched, or twice")
    for queue, properties in of_type(resources, "AWS::SQS::Queue").items():
        waiting = {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
        about = [a for a in alarms.values() if a.get("Dimensions") == [waiting]]
        if "RedrivePolicy" not in properties and not any(a["Threshold"] == 0 for a in about):
            found.append(f"{queue}: dead letters that nobody hears of")
    return found


def _set(alarm: str, key: str, value):
    def worsen(resources: dict) -> None:
        resources[alarm]["Properties"][key] = value

    return worsen


def _remove(name: str):
    def worsen(resources: dict) -> None:
        del resources[name]

    return worsen


# Each of these must be found out.
WORSE = [
    ("another threshold", _set("ErrorRateAlarm", "Threshold", 50)),
    ("an alarm about nothing", _set("NewErrorsAlarm", "MetricName", "NewErrors")),
    ("an alarm for nobody", _set("ProjectionLagAlarm", "AlarmActions", [])),
    ("dead letters", _remove("EventsDeadLettersAlarm")),
    ("a job that fails unseen", _remove("JobsErrorsAlarm")),
    ("no dashboard", _remove("Dashboard")),
]
