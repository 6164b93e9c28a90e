"""What the emulator does otherwise than AWS and what nothing is done about, with what the check cannot assert for that.

Each difference has a probe, which the check tries once everything was used: a difference that is none any more fails
the check, so that what it kept from being asserted is asserted then.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import adapted_template
from account import Account, until

# Namespaces of what the stack uses besides functions.
SERVICES = ("AWS/SQS", "AWS/ApiGateway", "AWS/States", "AWS/Events", "AWS/DynamoDB")
# What a poller of the emulator takes at once, whatever BatchSize says.
POLLED = 10


@dataclass(frozen=True)
class Unlike:
    """A difference: what follows from it for the check, and whether it is still there."""

    therefore: str
    still: Callable[[Account], bool]


def _no_metrics(account: Account) -> bool:
    cloudwatch = account.client("cloudwatch")
    return not any(cloudwatch.list_metrics(Namespace=namespace)["Metrics"] for namespace in SERVICES)


@contextlib.contextmanager
def _alarm(account: Account, **more: Any) -> Iterator[Callable[[], str]]:
    """An alarm about more than nothing; gives its state, decided anew."""
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="probe",
        Namespace="Probe",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        **more,
    )

    def state() -> str:
        measured = {"MetricName": "Measured", "Value": 1, "Dimensions": [{"Name": "Of", "Value": "one"}]}
        # Alarms are decided when something is measured.
        cloudwatch.put_metric_data(Namespace="Probe", MetricData=[measured])
        return str(cloudwatch.describe_alarms(AlarmNames=["probe"])["MetricAlarms"][0]["StateValue"])

    try:
        yield state
    finally:
        cloudwatch.delete_alarms(AlarmNames=["probe"])


def _missing_data_ignored(account: Account) -> bool:
    with _alarm(account, MetricName="Unmeasured", TreatMissingData="breaching") as state:
        return state() == "INSUFFICIENT_DATA"


def _dimensions_ignored(account: Account) -> bool:
    with _alarm(account, MetricName="Measured", Dimensions=[{"Name": "Of", "Value": "another"}]) as state:
        return state() == "ALARM"


def _few_at_once(account: Account) -> bool:
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="Torale/Consumer",
        MetricName="Messages",
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max(float(point["Maximum"]) for point in points) == POLLED


def _existing_names_taken(account: Account) -> bool:
    dynamodb, cloudformation = account.client("dynamodb"), account.client("cloudformation")
    wanted = adapted_template.PROBE_TABLE["Properties"]
    keys = {key: wanted[key] for key in ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")}
    dynamodb.create_table(**keys)
    template = {"Resources": {"ProbeTable": {"Type": "AWS::DynamoDB::Table", "Properties": keys}}}
    cloudformation.create_stack(StackName="existing", TemplateBody=json.dumps(template))

    def ended() -> str:
        status = str(cloudformation.describe_stacks(StackName="existing")["Stacks"][0]["StackStatus"])
        return "" if status.endswith("IN_PROGRESS") else status

    status = until("the stack is created, or not", ended)
    cloudformation.delete_stack(StackName="existing")
    with contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=keys["TableName"])
    return status == "CREATE_COMPLETE"


DIFFERENCES = {
    "queues, the API, state machines, rules and tables publish no metrics": Unlike(
        "alarms about those stay silent whatever happens, so the queues must become empty (machinery.healthy); "
        "ProjectionLagSeconds has no value while events wait (machinery.metrics)",
        _no_metrics,
    ),
    "alarms ignore what TreatMissingData says": Unlike(
        "no alarm goes off, or is over, because nothing was measured",
        _missing_data_ignored,
    ),
    "alarms ignore dimensions": Unlike(
        "an alarm about one function could be raised by another's metric: nothing is asserted about those",
        _dimensions_ignored,
    ),
    "CloudFormation creates what exists": Unlike(
        "that the names of what remains after a deletion are free again is looked at by itself (deletion.begun_again)",
        _existing_names_taken,
    ),
    "a poller takes ten messages at most": Unlike(
        "no batch is larger, so ConsumerBatchSize and the window are not tried",
        _few_at_once,
    ),
}


def gone(account: Account) -> list[str]:
    """The differences that are none any more."""
    return [
        f"differences.py: no difference any more: {name}" for name, of in DIFFERENCES.items() if not of.still(account)
    ]
