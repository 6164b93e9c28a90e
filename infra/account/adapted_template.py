"""What changes of the expanded template before the emulator takes it, with the reason.

Each entry of `TEMPLATE` can find out whether it is still needed, from a small template of its own that the emulator
deploys first; the check fails as soon as one is not, so that it is removed. What changes of the emulator itself is in
`adaptations.py`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from account import Account

Resources = dict[str, dict[str, Any]]
Parameters = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """A change of the template: `probe` is a template, from which `needed` sees whether it is still needed."""

    reason: str
    apply: Callable[[Resources, Parameters], None]
    probe: Resources
    needed: Callable[[Account], bool]
    # What is made up for once the template is deployed.
    afterwards: Callable[[Account, Resources], None] | None = None


def _of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def _without_metric_math(resources: Resources, _parameters: Parameters) -> None:
    for name, alarm in _of_type(resources, "AWS::CloudWatch::Alarm").items():
        if "Metrics" in alarm:
            del resources[name]


def _numbers(resources: Resources, parameters: Parameters) -> None:
    def literal(value: Any) -> Any:
        match value:
            case {"Ref": str(name)} if parameters.get(name, {}).get("Type") == "Number":
                return parameters[name]["Default"]
            case dict():
                return {key: each if key == "Variables" else literal(each) for key, each in value.items()}
            case list():
                return [literal(each) for each in value]
        return value

    for name in list(resources):
        resources[name] = literal(resources[name])


def _routes(resources: Resources, _parameters: Parameters) -> None:
    for name, api in list(_of_type(resources, "AWS::ApiGatewayV2::Api").items()):
        body = api.pop("Body")
        api.update(Name=body["info"]["title"], ProtocolType="HTTP")
        operations = [(path, method, of) for path, methods in body["paths"].items() for method, of in methods.items()]
        for number, (path, method, operation) in enumerate(operations):
            uri = operation["x-amazon-apigateway-integration"]["uri"]
            integration = {"ApiId": {"Ref": name}, "IntegrationType": "AWS_PROXY", "IntegrationUri": uri}
            target = {"Fn::Sub": f"integrations/${{{name}Integration{number}}}"}
            key = path if path == "$default" else f"{method.upper()} {path}"
            route = {"ApiId": {"Ref": name}, "Target": target, "RouteKey": key}
            resources[f"{name}Integration{number}"] = {
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": integration | {"PayloadFormatVersion": "2.0"},
            }
            resources[f"{name}Route{number}"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": route}


def _nothing(_resources: Resources, _parameters: Parameters) -> None:
    pass


def _tables(resources: Resources, having: str) -> list[dict[str, Any]]:
    """The properties of the tables that have one of a name."""
    return [table for table in _of_type(resources, "AWS::DynamoDB::Table").values() if having in table]


def _put_policies(account: Account, resources: Resources) -> None:
    dynamodb = account.client("dynamodb")
    for table in _tables(resources, "ResourcePolicy"):
        arn = dynamodb.describe_table(TableName=table["TableName"])["Table"]["TableArn"]
        document = json.loads(json.dumps(table["ResourcePolicy"]["PolicyDocument"]))
        for statement in document["Statement"]:
            statement["Resource"] = account.substitute(statement["Resource"]["Fn::Sub"])
        dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document))


def _switch_on_expiry(account: Account, resources: Resources) -> None:
    dynamodb = account.client("dynamodb")
    for table in _tables(resources, "TimeToLiveSpecification"):
        expiry = table["TimeToLiveSpecification"]
        dynamodb.update_time_to_live(TableName=table["TableName"], TimeToLiveSpecification=expiry)


def _switch_on_recovery(account: Account, resources: Resources) -> None:
    dynamodb = account.client("dynamodb")
    for table in _tables(resources, "PointInTimeRecoverySpecification"):
        recovery = table["PointInTimeRecoverySpecification"]
        dynamodb.update_continuous_backups(TableName=table["TableName"], PointInTimeRecoverySpecification=recovery)


def _alarm_refused(account: Account) -> bool:
    rate = {"Metric": {"Namespace": "Probe", "MetricName": "Faults"}, "Period": 60, "Stat": "Sum"}
    metrics = [
        {"Id": "m0", "ReturnData": False, "MetricStat": rate},
        {"Id": "all", "ReturnData": True, "Expression": "SUM(METRICS())"},
    ]
    cloudwatch = account.client("cloudwatch")
    try:
        cloudwatch.put_metric_alarm(
            AlarmName="probe",
            Metrics=metrics,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
    except cloudwatch.exceptions.ClientError:
        return True
    # It may also be taken and mean nothing.
    return "Metrics" not in cloudwatch.describe_alarms(AlarmNames=["probe"])["MetricAlarms"][0]


PROBE_DENIAL = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "dynamodb:UpdateItem",
    "Resource": {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/probe"},
}
PROBE_TABLE: dict[str, Any] = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "TableName": "probe",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [PROBE_DENIAL]}},
    },
}
PROBE_API = {
    "Type": "AWS::ApiGatewayV2::Api",
    "Properties": {
        "Body": {"openapi": "3.0.1", "info": {"title": "probe", "version": "1"}, "paths": {"/probe": {"get": {}}}},
        "Name": "probe",
        "ProtocolType": "HTTP",
    },
}


def _policy_missing(account: Account) -> bool:
    dynamodb = account.client("dynamodb")
    arn = dynamodb.describe_table(TableName="probe")["Table"]["TableArn"]
    try:
        dynamodb.get_resource_policy(ResourceArn=arn)
    except dynamodb.exceptions.ClientError:
        return True
    return False


def _expiry_off(account: Account) -> bool:
    found = account.client("dynamodb").describe_time_to_live(TableName="probe")["TimeToLiveDescription"]
    return bool(found["TimeToLiveStatus"] != "ENABLED")


def _recovery_off(account: Account) -> bool:
    found = account.client("dynamodb").describe_continuous_backups(TableName="probe")["ContinuousBackupsDescription"]
    return bool(found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED")


def _routes_missing(account: Account) -> bool:
    apis = account.client("apigatewayv2")
    probe = next(api["ApiId"] for api in apis.get_apis()["Items"] if api["Name"] == "probe")
    return not apis.get_routes(ApiId=probe)["Items"]


def _number_is_text(account: Account) -> bool:
    client, bodies = account.client("lambda"), list[bytes]()
    # As it was sent: the client would make a number of it.
    client.meta.events.register(
        "before-parse.lambda.ListEventSourceMappings", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.list_event_source_mappings()
    mappings = json.loads(bodies[0])["EventSourceMappings"]
    return any(isinstance(mapping["ScalingConfig"]["MaximumConcurrency"], str) for mapping in mappings)


PROBE_ROLE = {
    "AssumeRolePolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
}
PROBE_FUNCTION = {
    "FunctionName": "probe",
    "Role": {"Fn::GetAtt": ["ProbeRole", "Arn"]},
    "Runtime": "python3.11",
    "Handler": "index.handler",
    "Code": {"ZipFile": "def handler(event, context): return {}"},
}
PROBE_MAPPING = {
    "FunctionName": {"Ref": "ProbeFunction"},
    "EventSourceArn": {"Fn::GetAtt": ["ProbeQueue", "Arn"]},
    "ScalingConfig": {"MaximumConcurrency": {"Ref": "Number"}},
    "Enabled": False,
}

TEMPLATE = {
    "alarms about expressions are left out": Change(
        "CloudWatch takes an alarm about a sum of metrics; the emulator does not keep its metrics",
        _without_metric_math,
        {},
        _alarm_refused,
    ),
    "parameters that are numbers are written out": Change(
        "they arrive as texts, and a poller stops at a concurrency that is one",
        _numbers,
        {
            "ProbeRole": {"Type": "AWS::IAM::Role", "Properties": PROBE_ROLE},
            "ProbeQueue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "probe"}},
            "ProbeFunction": {"Type": "AWS::Lambda::Function", "Properties": PROBE_FUNCTION},
            "ProbeMapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": PROBE_MAPPING},
        },
        _number_is_text,
    ),
    "routes are resources": Change(
        "SAM writes them into the Body of the API, which is ignored",
        _routes,
        {"ProbeApi": PROBE_API},
        _routes_missing,
    ),
    "tables get their policies by a call": Change(
        "their creation ignores ResourcePolicy",
        _nothing,
        {"ProbeTable": PROBE_TABLE},
        _policy_missing,
        _put_policies,
    ),
    "tables get their expiry by a call": Change(
        "their creation ignores TimeToLiveSpecification",
        _nothing,
        {"ProbeTable": PROBE_TABLE},
        _expiry_off,
        _switch_on_expiry,
    ),
    "tables get their recovery by a call": Change(
        "their creation ignores PointInTimeRecoverySpecification",
        _nothing,
        {"ProbeTable": PROBE_TABLE},
        _recovery_off,
        _switch_on_recovery,
    ),
}


def adapted(template: dict[str, Any]) -> dict[str, Any]:
    """The expanded template as the emulator can deploy it."""
    changed: dict[str, Any] = json.loads(json.dumps(template))
    for change in TEMPLATE.values():
        change.apply(changed["Resources"], changed["Parameters"])
    return changed


def afterwards(account: Account, resources: Resources) -> None:
    """Makes up for what the deployment of the template has ignored."""
    for change in TEMPLATE.values():
        if change.afterwards:
            change.afterwards(account, resources)


def probe() -> dict[str, Any]:
    """A small template with everything that the changes avoid."""
    number = {"Type": "Number", "Default": 5}
    return {
        "Parameters": {"Number": number},
        "Resources": {name: resource for change in TEMPLATE.values() for name, resource in change.probe.items()},
    }


def unneeded(account: Account) -> list[str]:
    """The changes that are not needed any more, once `probe` is deployed."""
    return [
        f"adapted_template.py, TEMPLATE: not needed any more: {name}"
        for name, of in TEMPLATE.items()
        if not of.needed(account)
    ]
