"""Every call that matters, decided for every role: exactly what infra/rights.toml grants must be allowed."""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import permissions

import emulator
import readings
import used
from account import Account
from policies import REGION_AND_ACCOUNT, Policies
from readings import Use
from stack import whole

# An action that no service has, for rights that are wider than their actions.
OTHER = "Other"
ITEM_ACTIONS = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "ConditionCheckItem",
    "BatchWriteItem",
    OTHER,
)
TABLE_ACTIONS = (
    "Scan", "DescribeTable", "CreateTable", "DeleteTable", "UpdateTable", "PutResourcePolicy", "DeleteResourcePolicy",
    OTHER, "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete", "PartiQLSelect",
    "UpdateTimeToLive", "ExportTableToPointInTime",
)  # fmt: skip
# A key of each kind that a table has, and one of none.
PARTITIONS = {
    "ControlTable": [
        "generation",
        "log",
        "limit#u",
        "key#k",
        "deactivation#u",
        "outbox",
        "rebuild#g2",
        "runs#g2#u",
        "import#d",
        "links#h",
        "temporal#t",
        "x",
    ],
    "projections": [
        "u#1",
        "i#user",
        "y#1",
        "z#1",
        "v#1",
        "o#1",
        "c#users#0",
        "r#users##0",
        "r#schedules##0",
        "s#1",
        "t#1",
        "h#1",
    ],
    "AuditTable": ["r#2026010100#0", "seals"],
    "AuditIndexTable": ["f/c#0"],
    "EventsTable": ["2026010100#0"],
    "QuarantineTable": ["a"],
}
QUEUES = ("EventsQueue", "CommandsQueue", "EventsDeadLetters", "CommandsDeadLetters", "CommandsForwardQueue")
QUEUE_ACTIONS = (
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "GetQueueAttributes",
    "PurgeQueue",
    "SetQueueAttributes",
    OTHER,
)
LOGS = ("ApiLogs", "ConsumerLogs", "JobLogs", "SealLogs")
LOG_ACTIONS = ("CreateLogStream", "PutLogEvents", "DeleteLogStream", "GetLogEvents", "PutRetentionPolicy", OTHER)
KEY_ACTIONS = ("Sign", "GetPublicKey", "PutKeyPolicy", "ScheduleKeyDeletion", "CreateGrant", "DisableKey", OTHER)
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams", OTHER)
UNPLACED = (
    *sorted(action for action in permissions.EVERYTHING if action.startswith("ec2:")), "ec2:RunInstances",
    "dynamodb:ListTables", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules",
    "xray:GetSamplingTargets", "xray:GetTraceSummaries", "cloudwatch:GetMetricStatistics", "cloudwatch:DeleteAlarms",
    "iam:PassRole", "iam:PutRolePolicy", "sts:AssumeRole", "s3:GetObject", "lambda:UpdateFunctionCode",
    "sns:Publish", "secretsmanager:GetSecretValue", "states:StartExecution", "logs:DescribeLogGroups",
)  # fmt: skip
CHANGES = sorted(action.removeprefix("dynamodb:") for action in permissions.DENIED)
# All roles of the table, deployed here or not.
ROLES = sorted(permissions.RIGHTS["roles"])


@dataclass(frozen=True)
class Call:
    """A call: the action, the place as infra/rights.toml names it, its ARN, and what conditions may ask for."""

    action: str
    place: str
    arn: str
    key: str = ""
    select: str = ""
    namespace: str = ""


def arn_of(policies: Policies, place: str) -> str:
    """The ARN of a place."""
    match place:
        case "projections":
            return f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/torale-projections-g7"
        case "ControlTable/stream":
            return f"{policies.arn('ControlTable')}/stream/2026-01-01T00:00:00.000"
        case "CommandsForwardQueue":
            return f"arn:aws:sqs:{REGION_AND_ACCOUNT}:platform-commands"
    arn = policies.arn(place)
    return arn.removesuffix("*") + "log-stream:1" if ":log-group:" in arn else arn


def calls(policies: Policies) -> Iterator[Call]:
    """All calls of the matrix."""
    at = functools.partial(arn_of, policies)
    for table, keys in PARTITIONS.items():
        for key in keys:
            yield from (Call(f"dynamodb:{action}", table, at(table), key, "ALL_ATTRIBUTES") for action in ITEM_ACTIONS)
            yield from (Call(f"dynamodb:{action}", table, at(table), key, "COUNT") for action in ("Query", OTHER))
        yield from (Call(f"dynamodb:{action}", table, at(table), "", "ALL_ATTRIBUTES") for action in TABLE_ACTIONS)
    elsewhere = [
        at("projections").replace(*pair) for pair in (("us-east-1", "us-west-2"), (emulator.ACCOUNT, "123456789012"))
    ]
    elsewhere.append(f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/torale-other")
    every_key = {key for keys in PARTITIONS.values() for key in keys}
    for arn in elsewhere:
        for key in every_key:
            yield from (Call(f"dynamodb:{action}", "elsewhere", arn, key, "COUNT") for action in ITEM_ACTIONS)
    yield from (
        Call(f"dynamodb:{action}", "ControlTable/stream", at("ControlTable/stream")) for action in STREAM_ACTIONS
    )
    other_stream = f"{at('EventsTable')}/stream/2026-01-01T00:00:00.000"
    yield from (Call(f"dynamodb:{action}", "elsewhere", other_stream) for action in STREAM_ACTIONS)
    yield from (Call(f"sqs:{action}", queue, at(queue)) for queue in QUEUES for action in QUEUE_ACTIONS)
    yield from (Call(f"logs:{action}", group, at(group)) for group in LOGS for action in LOG_ACTIONS)
    yield from (Call(f"kms:{action}", "AuditKey", at("AuditKey")) for action in KEY_ACTIONS)
    for function in policies.of_type("AWS::Lambda::Function"):
        yield from (Call(f"lambda:{action}", function, at(function)) for action in ("InvokeFunction", OTHER))
    for namespace in ("Torale/Admin", "Torale/Other"):
        yield from (Call(f"cloudwatch:{action}", "*", "*", namespace=namespace) for action in ("PutMetricData", OTHER))
    yield from (Call(action, "*", "*") for action in UNPLACED)


def granted(rights: list[used.Right], call: Call) -> bool:
    """Whether the table grants a call."""
    key = call.key or call.namespace
    return any(right.covers(call.action, call.place, [key], counting=call.select == "COUNT") for right in rights)


@functools.cache
def _calls(service: str) -> list[Call]:
    """The calls of a service, or of all; the good template's, whose names no change for the worse touches."""
    return [call for call in calls(Policies(whole()["Resources"])) if call.action.startswith(service)]


def of_role(policies: Policies, role: str, service: str = "") -> Iterator[str]:
    """Calls of a role (its name in the table) that are decided otherwise than the table says."""
    rights = used.rights(role)
    for call in _calls(service):
        keys = [call.key] if call.key else None
        allowed = policies.may(
            f"{role}Role", call.action, call.arn, keys=keys, select=call.select, namespace=call.namespace
        )
        if allowed != granted(rights, call):
            key = f"[{call.key}]" if call.key else ""
            yield f"{role} {'may' if allowed else 'may not'} {call.action} on {call.place}{key}: {call.arn}"


def _control(**actions: list[str]) -> list[Use]:
    return [Use(f"dynamodb:{action}", "ControlTable", key) for action, keys in actions.items() for key in keys]


PROJECTED = [
    Use(f"dynamodb:{action}", "projections", "u#1")
    for action in ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
]
LOGGED = [
    Use("dynamodb:PutItem", "EventsTable", "2026010100#0"),
    Use("dynamodb:PutItem", "AuditTable", "r#2026010100#0"),
]
# Every shape of a transaction that functions make, by role: `unlisted` compares them with those that were made.
SENDING = [_control(UpdateItem=["outbox"]), _control(DeleteItem=["outbox"])]
DEACTIVATION = _control(ConditionCheckItem=["generation"], PutItem=["outbox", "deactivation#u"]) + PROJECTED + LOGGED
REACTIVATION = _control(ConditionCheckItem=["generation", "deactivation#u"])
LATE = _control(ConditionCheckItem=["generation"], PutItem=["outbox"], UpdateItem=["deactivation#u"])
TRANSACTIONS = {
    "DeactivateUser": [DEACTIVATION, *SENDING],
    "DeactivateUsers": [DEACTIVATION, *SENDING],
    "ReactivateUser": [
        REACTIVATION + PROJECTED + LOGGED,
        REACTIVATION + _control(PutItem=["outbox"]) + PROJECTED + LOGGED,
    ],
    "Consumer": [
        PROJECTED,
        _control(ConditionCheckItem=["generation"], PutItem=["deactivation#u"]) + PROJECTED,
        _control(ConditionCheckItem=["generation"], PutItem=["outbox", "deactivation#u"]) + PROJECTED,
        LATE + PROJECTED,
    ],
    "OutboxRelay": SENDING,
    "Replay": [
        PROJECTED,
        _control(PutItem=["rebuild#g2", "rebuild#g2"]),
        _control(PutItem=["rebuild#g2"], ConditionCheckItem=["rebuild#g2"]),
        _control(PutItem=["generation"]),
        _control(PutItem=["generation"], ConditionCheckItem=["rebuild#g2"]),
    ],
    "AuditSeal": [
        [Use("dynamodb:PutItem", "AuditTable", "seals")],
        [Use(f"dynamodb:{action}", "AuditIndexTable", "f/c#0") for action in ("PutItem", "UpdateItem")],
    ],
}
# Those that need not be made here.
RARE = {
    # The late rule, where another user's reactivation takes the cause back and their links were written first.
    "Consumer": [LATE + _control(PutItem=["deactivation#o"]) + PROJECTED],
    # A generation becomes the shadow one while another is.
    "Replay": [_control(PutItem=["generation", "rebuild#g2"], ConditionCheckItem=["rebuild#g3"])],
}


# Keys that no transaction names: along with a key of their own, functions must not reach them either.
FOREIGN_KEYS = ("log", "limit#u", "import#d")


def transactions(policies: Policies, role: str) -> Iterator[str]:
    """Transactions that a role makes and that are refused, or may name further keys, under any reading."""
    for uses in TRANSACTIONS.get(role, []) + RARE.get(role, []):
        for reading in readings.READINGS:
            for action, table in sorted({(use.action, use.table) for use in uses}):
                for keys in readings.leading_keys(uses, action, table, reading):
                    may = functools.partial(policies.may, f"{role}Role", action, arn_of(policies, table))
                    if not may(keys=keys):
                        yield f"{role} may not {action} on {table} {keys} in a transaction, read by {reading}"
                    further = FOREIGN_KEYS if table == "ControlTable" else ()
                    yield from (
                        f"{role} may {action} on {table} {keys} along with {key}"
                        for key in further
                        if may(keys=[*keys, key])
                    )


def administrators(policies: Policies) -> list[str]:
    """What even an administrator who may do everything must not be able to do."""
    found = []
    for table in ("EventsTable", "AuditTable"):
        may = [action for action in CHANGES if policies.may("administrator", f"dynamodb:{action}", policies.arn(table))]
        found += [f"an administrator may {action} on {table}" for action in may]
        if not policies.may("administrator", "dynamodb:PutItem", policies.arn(table)):
            found.append(f"an administrator may not restore items of {table}")
    for action in ("kms:Sign", "kms:CreateGrant"):
        if policies.may("administrator", action, policies.arn("AuditKey")):
            found.append(f"an administrator may {action} with AuditKey")
    return found


def invokers(policies: Policies) -> list[str]:
    """Services that invoke a function and should not, or cannot and should."""
    found = []
    api, functions = f"arn:aws:execute-api:{REGION_AND_ACCOUNT}", policies.of_type("AWS::Lambda::Function")
    routes = policies.resources["Api"]["Properties"]["Body"]["paths"]
    for path, method, operation in ((path, *of) for path, methods in routes.items() for of in methods.items()):
        uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        function = uri.split("${")[-1].split(".Arn")[0]
        filled = re.sub(r"\{\w+\}", "some", path)
        source = f"{api}:theapi/$default/{'GET/anything' if path == '$default' else f'{method.upper()}{filled}'}"
        should = {
            ("apigateway.amazonaws.com", source): True,
            ("apigateway.amazonaws.com", source.replace("theapi", "another")): False,
            ("apigateway.amazonaws.com", f"{api}:theapi/$default/DELETE/other"): path == "$default",
            ("s3.amazonaws.com", source): False,
        }
        found += _differing(policies, function, should)
    rules = policies.of_type("AWS::Events::Rule")
    for function in functions:
        own = next((policies.arn(rule) for rule in rules if rule == f"{function}EveryMinute"), "")
        should = {("events.amazonaws.com", own): bool(own), ("events.amazonaws.com", policies.arn("StatsRole")): False}
        found += _differing(policies, function, should)
    return found


def _differing(policies: Policies, function: str, should: dict[tuple[str, str], bool]) -> list[str]:
    wrong = [who for who, expected in should.items() if policies.invocable(function, *who) != expected]
    return [f"{function} {'cannot' if should[who] else 'can'} be invoked by {who}" for who in wrong]


def trusts(policies: Policies) -> list[str]:
    """Roles that another service than their own can take on."""
    found = []
    for role in policies.of_type("AWS::IAM::Role"):
        own = "states.amazonaws.com" if role == "ReplayMachineRole" else "lambda.amazonaws.com"
        for service in (
            "lambda.amazonaws.com",
            "states.amazonaws.com",
            "ec2.amazonaws.com",
            f"arn:aws:iam::{emulator.ACCOUNT}:user/u",
        ):
            if policies.assumable(role, service) != (service == own):
                found.append(f"{role} {'cannot' if service == own else 'can'} be taken on by {service}")
    return found


def of_roles(resources: dict[str, Any], roles: list[str], service: str = "") -> Iterator[str]:
    """Everything of these roles, and of a service if one is named, that is decided otherwise than it should be."""
    policies = Policies(resources)
    for role in roles:
        yield from transactions(policies, role)
        yield from of_role(policies, role, service)


def findings(resources: dict[str, Any], roles: list[str] | None = None) -> list[str]:
    """Everything that is decided otherwise than it should be, of these roles or of all."""
    policies = Policies(resources)
    found = administrators(policies) + invokers(policies) + trusts(policies)
    return [*found, *of_roles(resources, roles or ROLES)]


def _shape(uses: Iterable[tuple[str, str, str]]) -> frozenset[tuple[str, str, str]]:
    """What a transaction does to which kinds of keys of the control table, and to which other tables."""
    kept = ((action, table, key.partition("#")[0] if table == "ControlTable" else "") for action, table, key in uses)
    return frozenset(kept)


def _shapes(transactions: list[list[Use]]) -> set[frozenset[tuple[str, str, str]]]:
    return {_shape((use.action, use.table, use.key) for use in uses) for uses in transactions}


def _controlling(shape: frozenset[tuple[str, str, str]]) -> frozenset[tuple[str, str, str]]:
    return frozenset(use for use in shape if use[1] == "ControlTable")


def _fits(shape: frozenset[tuple[str, str, str]], listed: frozenset[tuple[str, str, str]]) -> bool:
    """Whether a transaction is one of a listed shape: to tables other than the control table it may do less."""
    return shape <= listed and _controlling(shape) == _controlling(listed)


def unlisted(account: Account, resources: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """Transactions that functions have made and `TRANSACTIONS` lacks, and those that it has and nobody has made."""
    places, made = used.Places(account, resources), dict[str, set[frozenset[tuple[str, str, str]]]]()
    for entry in entries:
        if (role := places.roles.get(entry["role"])) and entry.get("transaction") and role != used.OPERATOR:
            arn = f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/"
            named = ((action, places.place(arn + table), key) for action, table, key in entry["transaction"])
            made.setdefault(role, set()).add(_shape(named))
    found = []
    for role in sorted(made.keys() | TRANSACTIONS.keys()):
        listed, rare = (_shapes(transactions.get(role, [])) for transactions in (TRANSACTIONS, RARE))
        for shape in made.get(role, set()):
            if not any(_fits(shape, each) for each in listed | rare):
                found.append(f"{role} makes a transaction that TRANSACTIONS lacks: {sorted(shape)}")
        found += [
            f"{role} has made no transaction of TRANSACTIONS: {sorted(each)}"
            for each in listed
            if not any(_fits(shape, each) for shape in made.get(role, set()))
        ]
    return found
