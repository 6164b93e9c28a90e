"""What runs by itself in the account, or by an operator: seals, metrics, alarms, rebuilds, changes of the stack."""

import base64
import functools
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import emulator
import platform_side as platform
import story
from account import ROOT, STACK, Account, Wrong, constant, expect, until
from stack import PARAMETERS, put, wait
from story import equal

# A schedule's minute, and what its job takes.
SCHEDULED_SECONDS = 100
TOOL_SECONDS = 120
# What a rebuild waits for late batches, and a promotion for writers that know only the former pointer (config.rs,
# SETTLED), in milliseconds.
SETTLED = 1000 * constant(
    "shared/platform/src/config.rs", r"pub const SETTLED: Duration = Duration::from_secs\((\d+)\);"
)
# What a change of a parameter may do: what refers to a function is listed as well, since its ARN might change.
HARMLESS = {("Modify", "False"), ("Modify", "Conditional")}
# The services whose resources hold something.
KEPT = {"DynamoDB", "SQS", "KMS", "Logs", "SNS"}
LOGS = ("ApiLogs", "ConsumerLogs", "JobLogs", "SealLogs")
# How a panic shows: as the functions log it, as they answer it, and as Rust prints it.
PANICS = ['"message":"panic"', "panicked"]
ADMIN_METRICS = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \|", re.MULTILINE)


class Tools:
    """The command line tools, at the account's endpoint with an operator's credentials."""

    def __init__(self, account: Account, target: Path, operator: dict[str, str]) -> None:
        self.account, self.target, self.operator = account, target, operator

    def run(self, tool: str, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a tool.

        Raises:
            Wrong: If it does not end in time.
        """
        command = [str(self.target / "debug" / tool), *arguments]
        environment = emulator.environment(self.account.port, self.account.folder) | self.operator
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Wrong(f"{tool} {' '.join(arguments)} takes longer than {TOOL_SECONDS} s: {error.stdout!r}") from error
        return done.returncode, done.stdout + done.stderr


def public_key(account: Account) -> Path:
    """The public half of the sealing key, from KMS, in a file."""
    found = account.client("kms").get_public_key(KeyId=account.outputs["AuditKeyId"])["PublicKey"]
    file = account.folder / "seal.pem"
    file.write_text(f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(found).decode()}\n-----END PUBLIC KEY-----\n")
    return file


def sealed(account: Account, tools: Tools) -> None:
    """The schedule has sealed: requests are listed, KMS's public key verifies them, a changed record is found."""
    for action, least in {"users.reactivate": 3, "users.deactivate": 5, "users.deactivate_many": 2}.items():

        def listed(path: str = f"/admin/audit?action={action}", least: int = least) -> bool:
            return bool(story.answer(account, path)["total"] >= least)

        until(f"{action} is listed", listed, SCHEDULED_SECONDS)
    # Later steps reactivate others.
    records = story.answer(account, "/admin/audit?action=users.reactivate&limit=100")["records"]
    found = [record for record in records if record["target"] == platform.USER]
    expect(bool(found), "no record of the user's reactivation")
    equal("a record", (found[0]["status"], found[0]["principal"]["key_id"]), (200, "key_admin"))
    verify = ["--key", str(public_key(account))]
    status, text = tools.run("audit-verify", *verify)
    expect(status == 0 and "intact" in text, f"audit-verify: {status} {text}")
    dynamodb = account.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName="torale-audit")
    items = [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("r#")]
    genuine = min(items, key=lambda item: item["sk"]["S"])
    forged = genuine | {"record": {"S": genuine["record"]["S"].replace('"status":', '"status": ')}}
    dynamodb.put_item(TableName="torale-audit", Item=forged)
    status, text = tools.run("audit-verify", *verify)
    dynamodb.put_item(TableName="torale-audit", Item=genuine)
    expect(status == 1 and "intact" not in text, f"audit-verify of a forged record: {status} {text}")
    equal("audit-verify of the restored record", tools.run("audit-verify", *verify)[0], 0)


def documented_metrics() -> set[str]:
    """The metrics of Torale/Admin, as docs/operations.md lists them."""
    section = (ROOT / "docs/operations.md").read_text().partition("\n## Metrics\n")[2].partition("From log lines")[0]
    return {name for row in ADMIN_METRICS.findall(section) for name in re.findall(r"\w+", row)}


def metrics(account: Account) -> None:
    """The schedule has published; a run after the first seal publishes every documented metric, with its value."""
    cloudwatch = account.client("cloudwatch")

    def published(namespace: str) -> set[str]:
        pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace)
        return {metric["MetricName"] for page in pages for metric in page["Metrics"]}

    until("metrics are published", lambda: "ActiveTasks" in published("Torale/Admin"), SCHEDULED_SECONDS)
    # The schedule's next minute is not waited for. An event waits meanwhile, since nobody takes it.
    lambdas, mapping = account.client("lambda"), account.physical("ConsumerQueue")
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=False)
    platform.send(account, [platform.event("user.logged_in", user_id=platform.OTHER_USER)])
    since = datetime.now(UTC)
    run = lambdas.invoke(FunctionName=account.physical("Metrics"), Payload=b"{}")
    expect("FunctionError" not in run, f"metrics: {run}")
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=True)
    # The emulator reports no age of waiting messages (differences.py), so there is a value only while none waits.
    equal("metrics", published("Torale/Admin") | {"ProjectionLagSeconds"}, documented_metrics())
    equal("an age of events that wait", _maximum(cloudwatch, "Torale/Admin", "ProjectionLagSeconds", since), -1)
    equal("waiting events", _maximum(cloudwatch, "Torale/Admin", "ProjectionLagEvents", since), 1)
    expect("BatchTime" in published("Torale/Consumer"), "the consumer's metrics are missing")
    expect("Commands" in published("Torale/Commands"), "the executor's metrics are missing")
    expect("user.created" in published("Torale/Events"), "the metrics of events are missing")
    equal("quarantined messages", _maximum(cloudwatch, "Torale/Admin", "QuarantinedMessages", since), 1)
    equal("failures in per cent", _maximum(cloudwatch, "Torale/Admin", "ErrorRate", since), 50)


def _maximum(cloudwatch: Any, namespace: str, name: str, since: datetime) -> float:
    found = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max((float(point["Maximum"]) for point in found), default=-1)


class AlarmMail:
    """What subscribers of the alarms' topic receive."""

    def __init__(self, account: Account) -> None:
        arn = f"arn:aws:sqs:{emulator.REGION}:{emulator.ACCOUNT}:alarm-mail"
        sent = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [sent]})}
        created = account.client("sqs").create_queue(QueueName="alarm-mail", Attributes=policy)
        self.account, self.url = account, created["QueueUrl"]
        account.client("sns").subscribe(TopicArn=account.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)
        self.alarms: set[tuple[str, str]] = set()

    def received(self) -> set[tuple[str, str]]:
        """Alarms (their logical ids) and states that were sent so far."""
        sqs = self.account.client("sqs")
        names = {physical: logical for logical, physical in self.account.resources.items()}
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                alarm = json.loads(json.loads(message["Body"])["Message"])
                self.alarms.add((names[alarm["AlarmName"]], alarm["NewStateValue"]))
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.alarms


def _alarm_states(account: Account) -> dict[str, str]:
    """The states of the stack's alarms, by their logical ids."""
    pages = account.client("cloudwatch").get_paginator("describe_alarms").paginate()
    by_name = {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}
    return {logical: by_name[physical] for logical, physical in account.resources.items() if physical in by_name}


def alarms(account: Account, mail: AlarmMail) -> None:
    """The quarantined message has raised its alarm, which has notified the topic; those about faults are silent."""
    until("the alarm about the quarantine is sent", lambda: ("SetAsideAlarm", "ALARM") in mail.received())
    states = _alarm_states(account)
    # On a slow machine it may be over by now: that takes five minutes.
    over = ("SetAsideAlarm", "OK") in mail.received()
    expect(over or states["SetAsideAlarm"] == "ALARM", f"the alarm about the quarantine is {states['SetAsideAlarm']}")
    # Of those about what the functions publish: the emulator knows no metrics of queues and the API (differences.py).
    quiet = {"AuditBrokenAlarm", "UnreadableOrdersAlarm", "MissingSchedulesAlarm"}
    raised = {name for name, state in states.items() if state == "ALARM"}
    equal("alarms about what did not happen", raised & quiet, set())


def healthy(account: Account) -> None:
    """No message is handed back for ever, each queue has its dead-letter queue, and no function has panicked."""
    sqs = account.client("sqs")
    for queue, dead_letters in {"EventsQueue": "EventsDeadLetters", "CommandsQueue": "CommandsDeadLetters"}.items():
        url = account.physical(queue)
        # A message that always fails would need hours to get into the dead-letter queue: it is still in its own.
        until(f"{queue} is empty", functools.partial(platform.is_empty, account, url))
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
        target = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
        equal(f"where {queue} sends what fails", target, account.physical(dead_letters).rpartition("/")[2])
    for group in LOGS:
        expect(_lines(account, group), f"{group} has no lines")
    no_panic(account)


def _lines(account: Account, group: str) -> list[str]:
    """The lines of a log."""
    pages = account.client("logs").get_paginator("filter_log_events").paginate(logGroupName=account.physical(group))
    return [event["message"] for page in pages for event in page["events"]]


def no_panic(account: Account) -> None:
    """No function has panicked since the stack, and so its logs, were created.

    The runtime's module `panic` also logs runs that end with an error, as the sealing job's does when the store fails
    three times.
    """
    for group in LOGS:
        lines = _lines(account, group)
        equal(f"panics in {group}", [line for line in lines if any(sign in line for sign in PANICS)], [])


def age(account: Account) -> None:
    """Makes the log an hour older than it is, so that workers have something to build."""
    dynamodb = account.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName="torale-events")
    for item in [item for page in pages for item in page["Items"]]:
        key = {name: item[name] for name in ("pk", "sk")}
        (_, lane), (received, rest) = item["pk"]["S"].split("#"), item["sk"]["S"].split("#", 1)
        earlier = int(received) - 3_600_000
        hour = datetime.fromtimestamp(earlier / 1000, UTC).strftime("%Y%m%d%H")
        aged = item | {"pk": {"S": f"{hour}#{lane}"}, "sk": {"S": f"{earlier}#{rest}"}}
        dynamodb.put_item(TableName="torale-events", Item=aged)
        dynamodb.delete_item(TableName="torale-events", Key=key)


def forget_beginning(account: Account) -> None:
    """Forgets where the log begins, as in a log that was restored by itself. Whoever appends first would note it."""
    key = {"pk": {"S": "log"}, "sk": {"S": "beginning"}}
    account.client("dynamodb").delete_item(TableName="torale-control", Key=key)


def rebuild(account: Account, tools: Tools, before: dict[str, Any], *, unhurried: bool) -> None:
    """The state machine rebuilds, compares and promotes; answers stay the same, and the log agrees."""
    machines, arn = account.client("stepfunctions"), account.outputs["ReplayMachineArn"]
    options = json.dumps({"lanes": 3, "promote": True})
    execution = machines.start_execution(stateMachineArn=arn, input=options)["executionArn"]
    waits = [] if unhurried else [(position("g2"), "built_at"), (pointer(), "beside_since")]

    def ended() -> str:
        while waits and _put_back(account, *waits[0]):
            del waits[0]
        status = str(machines.describe_execution(executionArn=execution)["status"])
        return "" if status == "RUNNING" else status

    status = until("the rebuild ends", ended, 3 * SETTLED / 1000)
    if status != "SUCCEEDED":
        history = machines.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=5)["events"]
        raise Wrong(f"the rebuild ended as {status}: {history}")
    live = account.client("dynamodb").get_item(TableName="torale-control", Key=pointer())["Item"]
    equal("the live generation", (live["generation"]["S"], live["lanes"]["N"]), ("g2", "3"))
    equal("what a rebuild must not change", {path: story.answer(account, path) for path in before}, before)
    status_code, text = tools.run("torale-replay", "verify")
    expect(status_code == 0 and "no differences" in text, f"replay verify: {status_code} {text}")


def operate(tools: Tools) -> None:
    """An operator rolls back, drops the generation, rebuilds and promotes another, and verifies it: with an operator's
    rights only.
    """
    for arguments in (
        ["status"],
        ["rollback"],
        ["drop", "g2"],
        ["rebuild", "--promote", "--accept-differences"],
        ["diff", "g1"],
        ["verify"],
        ["quarantine", "list"],
    ):
        status, text = tools.run("torale-replay", "--settle", "1", *arguments)
        expect(status == 0, f"replay {' '.join(arguments)}: {status} {text}")


def pointer() -> dict[str, dict[str, str]]:
    """The key of the item that names the live generation."""
    return {"pk": {"S": "generation"}, "sk": {"S": "live"}}


def position(generation: str) -> dict[str, dict[str, str]]:
    """The key of the item that says how much of the log a generation holds."""
    return {"pk": {"S": f"rebuild#{generation}"}, "sk": {"S": "position"}}


def _put_back(account: Account, key: dict[str, dict[str, str]], attribute: str) -> bool:
    """Puts a time back by what a rebuild or a promotion waits from then on, as if it had waited; no writer is under
    way here. True once that is done.
    """
    dynamodb = account.client("dynamodb")
    item = dynamodb.get_item(TableName="torale-control", Key=key, ConsistentRead=True).get("Item", {})
    if attribute not in item:
        return False
    item[attribute] = {"N": str(int(item[attribute]["N"]) - SETTLED)}
    dynamodb.put_item(TableName="torale-control", Item=item)
    return True


def change(account: Account, of: dict[str, Any], clerk: str) -> None:
    """A change set with another parameter touches functions only, replaces nothing, and the API goes on serving."""
    cloudformation = account.client("cloudformation")
    values = PARAMETERS | {"ClerkApiUrl": clerk, "LogLevel": "warn"}
    cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="warn",
        TemplateURL=put(account, of, "template.json"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )
    until("the change set is made", lambda: _described(account)["Status"] == "CREATE_COMPLETE")
    changes = [each["ResourceChange"] for each in _described(account)["Changes"]]
    functions = {name for name, resource in of["Resources"].items() if resource["Type"] == "AWS::Lambda::Function"}
    # The log of the seals is a witness, however little the others log.
    touched = {each["LogicalResourceId"] for each in changes}
    equal("functions that the change set modifies", touched & functions, functions - {"AuditSeal"})
    equal("how", {(each["Action"], each.get("Replacement", "False")) for each in changes} - HARMLESS, set())
    kept = {name for name, resource in of["Resources"].items() if resource["Type"].split("::")[1] in KEPT}
    equal("tables, queues, keys and logs that it touches", touched & kept, set())
    before = account.resources
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="warn")
    wait(account, STACK, "UPDATE_COMPLETE")
    account.forget()
    equal("resources that are others now", set(account.resources.items()) - set(before.items()), set())
    lambdas = account.client("lambda")
    for name in sorted(functions):
        variables = lambdas.get_function_configuration(FunctionName=account.physical(name))["Environment"]["Variables"]
        equal(f"the level of {name}", variables["RUST_LOG"], "info" if name == "AuditSeal" else "warn")
    story.answer(account, "/admin/stats")


def _described(account: Account) -> dict[str, Any]:
    found: dict[str, Any] = account.client("cloudformation").describe_change_set(StackName=STACK, ChangeSetName="warn")
    return found
