"""Alarms and dashboard: of metrics that exist, about everything that can go wrong, to one topic."""

import json
import re
from pathlib import Path

READERS = ["Stats", "Queries", "Executions", "Errors", "Users", "TemporalWorkflows", "TemporalSchedules", "Audit"]
CHANGERS = ["DeactivateUser", "ReactivateUser", "DeactivateUsers", "ClerkWebhook", "Fallback", "OpenApi"]
JOBS = ["Consumer", "CommandExecutor", "OutboxRelay", "AuditSeal", "Metrics", "Replay"]
SCHEDULES = ["OutboxRelayEveryMinute", "AuditSealEveryMinute", "MetricsEveryMinute"]


def queue(name: str) -> list[dict]:
    return [{"Name": "QueueName", "Value": {"Fn::GetAtt": [name, "QueueName"]}}]


def of(name: str, resource: str) -> list[dict]:
    return [{"Name": name, "Value": {"Ref": resource}}]


LAG = {"Ref": "LagAlarmSeconds"}
# Every alarm about one metric: what it looks at, how often it must be over which threshold, and what no data means.
ALARMS = {
    # name: (namespace, metric, dimensions, statistic, period, periods, threshold, without data)
    "ErrorRate": ("Torale/Admin", "ErrorRate", None, "Maximum", 60, 3, 5, "notBreaching"),
    "AvgDuration": ("Torale/Admin", "AvgDurationMs", None, "Maximum", 60, 3, 10_000, "notBreaching"),
    "FailedExecutions": ("Torale/Admin", "FailedExecutionsPerHour", None, "Maximum", 60, 1, 1_000, "notBreaching"),
    "NewErrors": ("Torale/Admin", "NewErrorsPerHour", None, "Maximum", 60, 1, 100, "notBreaching"),
    "OutboxAge": ("Torale/Admin", "OutboxAgeSeconds", None, "Maximum", 60, 3, 300, "breaching"),
    "AuditSealAge": ("Torale/Admin", "AuditSealAgeSeconds", None, "Maximum", 60, 3, 1_200, "breaching"),
    "SetAside": ("Torale/Consumer", "SetAside", None, "Sum", 300, 1, 0, "notBreaching"),
    "EventsStuck": ("Torale/Consumer", "StuckAge", None, "Maximum", 600, 1, 1_800, "notBreaching"),
    "CommandsStuck": ("Torale/Commands", "StuckAge", None, "Maximum", 600, 1, 900, "notBreaching"),
    "UnreadableOrders": ("Torale/Outbox", "UnreadableOrders", None, "Sum", 300, 1, 0, "notBreaching"),
    "AuditBroken": ("Torale/Audit", "BrokenChains", None, "Maximum", 120, 3, 0, "notBreaching"),
    "AuditForeignSeal": ("Torale/Audit", "ForeignSeals", None, "Sum", 300, 1, 0, "notBreaching"),
    "ProjectionLag": ("AWS/SQS", "ApproximateAgeOfOldestMessage", queue("EventsQueue"), "Maximum", 60, 3, LAG, "notBreaching"),
    "EventsDeadLetters": (
        "AWS/SQS", "ApproximateNumberOfMessagesVisible", queue("EventsDeadLetters"), "Maximum", 60, 1, 0, "notBreaching"),
    "CommandsDeadLetters": (
        "AWS/SQS", "ApproximateNumberOfMessagesVisible", queue("CommandsDeadLetters"), "Maximum", 60, 1, 0, "notBreaching"),
    "ReplayFailed": ("AWS/States", "ExecutionsFailed", of("StateMachineArn", "ReplayMachine"), "Sum", 300, 1, 0, "notBreaching"),
    "ApiFaults": ("AWS/ApiGateway", "5xx", of("ApiId", "Api"), "Sum", 300, 1, 5, "notBreaching"),
}
# Alarms about the sum of one metric of several resources: any of it at all within five minutes.
SUMS = {
    # name: (namespace, metric, dimension, of which resources)
    "ReadersErrors": ("AWS/Lambda", "Errors", "FunctionName", READERS),
    "ChangersErrors": ("AWS/Lambda", "Errors", "FunctionName", CHANGERS),
    "JobsErrors": ("AWS/Lambda", "Errors", "FunctionName", JOBS),
    "ReadersThrottles": ("AWS/Lambda", "Throttles", "FunctionName", READERS),
    "ChangersThrottles": ("AWS/Lambda", "Throttles", "FunctionName", CHANGERS),
    "JobsThrottles": ("AWS/Lambda", "Throttles", "FunctionName", JOBS),
    "Schedules": ("AWS/Events", "FailedInvocations", "RuleName", SCHEDULES),
}
TABLE_THROTTLES = 'SELECT SUM(ThrottledRequests) FROM SCHEMA("AWS/DynamoDB", TableName, Operation)'
# A metric of ours in the code: its name is the first thing that is said of it.
TOLD = re.compile(r'(?:count\(|of\(|\()"([A-Z][A-Za-z0-9]+)"')


def told(root: Path) -> dict[str, set[str]]:
    """The metrics that the code tells, by namespace."""
    names = {}
    sources = {
        "Admin": "metrics", "Consumer": "consumer", "Commands": "command-executor", "Outbox": "outbox-relay", "Audit": "audit-seal",
    }
    for namespace, source in sources.items():
        names[f"Torale/{namespace}"] = set(TOLD.findall((root / f"functions/{source}/src/lib.rs").read_text()))
    return names


def of_type(resources: dict, kind: str) -> dict[str, dict]:
    return {name: r.get("Properties", {}) for name, r in resources.items() if r["Type"] == kind}


def over(threshold, periods: int, without_data: str, what: dict) -> dict:
    """All of an alarm's properties but its description."""
    topic = [{"Ref": "AlarmTopic"}]
    return {
        **what,
        "AlarmActions": topic,
        "OKActions": topic,
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": without_data,
    }


def expected() -> dict[str, dict]:
    """What each alarm must be, by its name in the template."""
    alarms = {}
    for name, (namespace, metric, dimensions, statistic, period, periods, threshold, without_data) in ALARMS.items():
        what = {"Namespace": namespace, "MetricName": metric, "Statistic": statistic, "Period": period}
        if dimensions:
            what["Dimensions"] = dimensions
        alarms[f"{name}Alarm"] = over(threshold, periods, without_data, what)
    for name, (namespace, metric, dimension, resources) in SUMS.items():
        queries = [{"Id": "all", "ReturnData": True, "Expression": "SUM(METRICS())"}]
        for n, resource in enumerate(resources):
            stat = {"Namespace": namespace, "MetricName": metric, "Dimensions": of(dimension, resource)}
            queries.insert(n, {"Id": f"m{n}", "ReturnData": False, "MetricStat": {"Metric": stat, "Period": 300, "Stat": "Sum"}})
        alarms[f"{name}Alarm"] = over(0, 1, "notBreaching", {"Metrics": queries})
    tables = {"Id": "all", "ReturnData": True, "Period": 300, "Expression": TABLE_THROTTLES}
    alarms["TableThrottlesAlarm"] = over(0, 1, "notBreaching", {"Metrics": [tables]})
    return alarms


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
    code = told(root)
    found = [
        f"{namespace}/{name}: no function tells it"
        for namespace, name in sorted(named(resources)) if name not in code.get(namespace, set())
    ]
    shown = {name for namespace, name in named(resources) if namespace == "Torale/Admin"}
    found += [f"Torale/Admin/{name}: in no alarm and on no dashboard" for name in sorted(code["Torale/Admin"] - shown)]
    should, alarms = expected(), of_type(resources, "AWS::CloudWatch::Alarm")
    for name in sorted(should.keys() | alarms.keys()):
        alarm = {key: value for key, value in alarms.get(name, {}).items() if key != "AlarmDescription"}
        known = should.get(name, {})
        differing = [key for key in sorted(known.keys() | alarm.keys()) if known.get(key) != alarm.get(key)]
        found += [f"{name}: {key} is {alarm.get(key)}, not {known.get(key)} as in the table" for key in differing]
    # A topic that is encrypted with a key of AWS's own takes nothing from CloudWatch.
    if of_type(resources, "AWS::SNS::Topic") != {"AlarmTopic": {}}:
        found.append("there must be one topic, AlarmTopic, as it comes")
    if template["Parameters"]["LagAlarmSeconds"]["Default"] != 300:
        found.append("LagAlarmSeconds: the lag that is documented is five minutes")
    for kind, watched in [("AWS::Lambda::Function", READERS + CHANGERS + JOBS), ("AWS::Events::Rule", SCHEDULES)]:
        found += [f"{name}: no alarm watches it" for name in sorted(of_type(resources, kind).keys() ^ set(watched))]
    dead = [q for q, properties in of_type(resources, "AWS::SQS::Queue").items() if "RedrivePolicy" not in properties]
    heard = [alarm["Dimensions"] for alarm in should.values() if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"]
    return found + [f"{name}: dead letters that nobody hears of" for name in dead if queue(name) not in heard]


def _set(alarm: str, key: str, value):
    def worsen(resources: dict) -> None:
        resources[alarm].setdefault("Properties", {})[key] = value

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
    ("lag of a day", _set("ProjectionLagAlarm", "Threshold", 86_400)),
    ("lag of another queue", _set("ProjectionLagAlarm", "Dimensions", queue("CommandsQueue"))),
    ("commands that fail unseen", _remove("CommandsStuckAlarm")),
    ("a broken chain for a day", _set("AuditBrokenAlarm", "Period", 86_400)),
    ("the least of it", _set("OutboxAgeAlarm", "Statistic", "Minimum")),
    ("an hour of it", _set("OutboxAgeAlarm", "EvaluationPeriods", 60)),
    ("a dimension that nobody tells", _set("SetAsideAlarm", "Dimensions", of("FunctionName", "Consumer"))),
    ("an alarm that is switched off", _set("ApiFaultsAlarm", "ActionsEnabled", False)),
    ("one function for all", _set("JobsErrorsAlarm", "Metrics", [{"Id": "all", "ReturnData": True, "Expression": "m0"}])),
    ("silence about the outbox", _set("OutboxAgeAlarm", "TreatMissingData", "notBreaching")),
    ("a topic that CloudWatch can't write to", _set("AlarmTopic", "KmsMasterKeyId", "alias/aws/sns")),
]
