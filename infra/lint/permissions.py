"""Who may do what: this table, against the policies of the expanded template."""

import json

TRACE = ["* xray: PutTraceSegments PutTelemetryRecords"]
READ = ["projections dynamodb: GetItem BatchGetItem Query", "ControlTable[generation] dynamodb: GetItem"]
SERVE = [
    *TRACE,
    *READ,
    "ControlTable[limit#* key#*] dynamodb: UpdateItem",
    "AuditTable[r#*] dynamodb: PutItem",
    "ApiLogs logs: CreateLogStream PutLogEvents",
]
CHANGE = [
    *SERVE,
    "projections dynamodb: PutItem UpdateItem DeleteItem ConditionCheckItem",
    "EventsTable dynamodb: PutItem",
    "ControlTable[generation] dynamodb: ConditionCheckItem",
    "ControlTable[outbox deactivation#*] dynamodb: GetItem PutItem UpdateItem DeleteItem",
    "CommandsQueue sqs: SendMessage",
]
RECEIVE = "sqs: ReceiveMessage DeleteMessage GetQueueAttributes"

# One row for each role; a function's is named as the function is. Another function is another row.
MAY = {
    "Stats": SERVE,
    "Queries": SERVE,
    "Executions": SERVE,
    "Errors": SERVE,
    "Users": SERVE,
    "TemporalWorkflows": SERVE,
    "TemporalSchedules": SERVE,
    "Audit": [*SERVE, "AuditTable dynamodb: BatchGetItem Query", "AuditIndexTable dynamodb: BatchGetItem Query"],
    "DeactivateUser": CHANGE,
    "ReactivateUser": CHANGE,
    "DeactivateUsers": CHANGE,
    "OpenApi": [*TRACE, "ApiLogs logs: CreateLogStream PutLogEvents"],
    "Fallback": [*TRACE, "ApiLogs logs: CreateLogStream PutLogEvents"],
    "ClerkWebhook": [
        *TRACE,
        *READ,
        "EventsQueue sqs: SendMessage",
        "ApiLogs logs: CreateLogStream PutLogEvents",
    ],
    "Consumer": [
        *TRACE,
        *READ,
        "projections dynamodb: PutItem UpdateItem DeleteItem",
        "EventsTable dynamodb: PutItem",
        "QuarantineTable dynamodb: PutItem",
        "ControlTable[log] dynamodb: UpdateItem",
        "ControlTable[deactivation#*] dynamodb: BatchGetItem",
        "ControlTable[outbox] dynamodb: PutItem",
        f"EventsQueue {RECEIVE}",
        "ConsumerLogs logs: CreateLogStream PutLogEvents",
    ],
    "CommandExecutor": [
        *TRACE,
        f"CommandsQueue {RECEIVE}",
        "EventsQueue sqs: SendMessage",
        "${CommandsForwardQueue} sqs: SendMessage",
        "JobLogs logs: CreateLogStream PutLogEvents",
    ],
    "OutboxRelay": [
        *TRACE,
        *READ,
        "ControlTable[outbox] dynamodb: Query UpdateItem DeleteItem",
        "ControlTable/stream dynamodb: DescribeStream GetRecords GetShardIterator ListStreams",
        "CommandsQueue sqs: SendMessage",
        "JobLogs logs: CreateLogStream PutLogEvents",
    ],
    "AuditSeal": [
        *TRACE,
        "AuditTable dynamodb: Query Scan",
        "AuditTable[seals] dynamodb: PutItem",
        "AuditIndexTable dynamodb: PutItem UpdateItem BatchGetItem",
        "AuditKey kms: Sign GetPublicKey",
        "SealLogs logs: CreateLogStream PutLogEvents",
    ],
    "Metrics": [
        *TRACE,
        *READ,
        "ControlTable[outbox] dynamodb: Query",
        "AuditTable dynamodb: Query",
        "QuarantineTable dynamodb: Query",
        "EventsQueue sqs: GetQueueAttributes",
        "*[Torale/Admin] cloudwatch: PutMetricData",
        "* cloudwatch: GetMetricStatistics",
        "JobLogs logs: CreateLogStream PutLogEvents",
    ],
    "Replay": [
        *TRACE,
        "projections dynamodb: GetItem BatchGetItem Query Scan PutItem UpdateItem DeleteItem BatchWriteItem",
        "projections dynamodb: CreateTable DescribeTable",
        "* dynamodb: ListTables",
        "EventsTable dynamodb: Query Scan",
        "ControlTable[generation log rebuild#* runs#*] dynamodb: GetItem Query PutItem UpdateItem DeleteItem",
        "ControlTable[generation log rebuild#* runs#*] dynamodb: BatchWriteItem ConditionCheckItem",
        "JobLogs logs: CreateLogStream PutLogEvents",
    ],
    "ReplayMachine": [*TRACE, "Replay lambda: InvokeFunction"],
}

# Where AWS has nothing finer than everything.
EVERYTHING = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "cloudwatch:PutMetricData",
    "cloudwatch:GetMetricStatistics",
    "dynamodb:ListTables",
}
# What may be done at all to the items of the tables that are only ever inserted into, and what nobody may.
INSERT_ONLY = {"EventsTable": "torale-events", "AuditTable": "torale-audit"}
HARMLESS = {f"dynamodb:{action}" for action in ["PutItem", "GetItem", "BatchGetItem", "Query", "Scan"]}
DENIED = {
    f"dynamodb:{action}"
    for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete"]
}
# Resources that grant something by policies of their own.
GRANTING = {"AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::IAM::Policy", "AWS::IAM::UserPolicy"}


def several(value) -> list:
    return value if isinstance(value, list) else [value]


def place(resource) -> str:
    """A statement's resource as the table names it."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return name
        case {"Fn::Sub": text} if text.endswith(":table/torale-projections-*"):
            return "projections"
        case {"Fn::Sub": "${ControlTable.Arn}/stream/*"}:
            return "ControlTable/stream"
        case {"Fn::Sub": text} if "*" not in text:
            return text.rsplit(":", 1)[1]
        case _:
            return resource if isinstance(resource, str) else json.dumps(resource)


def condition(statement: dict) -> str:
    """The keys, or the namespace, that a statement is held to."""
    match statement.get("Condition"):
        case None:
            return ""
        case {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}} | {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": keys}
        }:
            return f"[{' '.join(keys)}]"
        case {"StringEquals": {"cloudwatch:namespace": namespace}}:
            return f"[{namespace}]"
        case other:
            return f"[{json.dumps(other)}]"


def statements(document: dict) -> list[dict]:
    """Those of a policy, the ones under a condition of the template among them."""
    found = []
    for statement in several(document["Statement"]):
        options = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
        found += [option for option in options if option != {"Ref": "AWS::NoValue"}]
    return found


def grants(document: dict) -> set[tuple[str, str]]:
    """Place, with what it is held to, and action."""
    found = set()
    for statement in statements(document):
        if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
            found.add((json.dumps(statement), "is not of the kind that is understood"))
            continue
        for resource in several(statement["Resource"]):
            where = place(resource) + condition(statement)
            found |= {(where, action) for action in several(statement["Action"])}
    return found


def allowed(rows: list[str]) -> set[tuple[str, str]]:
    found = set()
    for row in rows:
        where, actions = row.rsplit(": ", 1)
        where, service = where.rsplit(" ", 1)
        found |= {(where, f"{service}:{action}") for action in actions.split()}
    return found


def of_role(role: dict, resources: dict) -> set[tuple[str, str]]:
    properties, found = role["Properties"], set()
    for policy in properties.get("ManagedPolicyArns", []):
        name = policy.get("Ref") if isinstance(policy, dict) else None
        if name in resources:
            found |= grants(resources[name]["Properties"]["PolicyDocument"])
        else:
            found.add((json.dumps(policy), "is a policy that is not of this template"))
    for policy in properties.get("Policies", []):
        found |= grants(policy["PolicyDocument"])
    return found


def of_keys(resources: dict) -> tuple[dict[str, set], list[str]]:
    """What keys' own policies give to roles; and what they give to others beyond managing them."""
    given, faults = {}, []
    for name, resource in resources.items():
        if resource["Type"] != "AWS::KMS::Key":
            continue
        for statement in resource["Properties"]["KeyPolicy"]["Statement"]:
            actions = several(statement["Action"])
            match statement["Principal"]:
                case {"AWS": {"Fn::GetAtt": [role, "Arn"]}}:
                    given.setdefault(role, set()).update((name, action) for action in actions)
                case _:
                    used = [a for a in actions if "*" in a or a.split(":")[1] in ("Sign", "CreateGrant")]
                    faults += [f"{name}: {action} for more than a role" for action in used]
    return given, faults


def kept_insert_only(resources: dict, found: dict[str, set]) -> list[str]:
    faults = []
    for role, may in found.items():
        for where, action in may:
            if where.split("[")[0] in INSERT_ONLY and action not in HARMLESS:
                faults.append(f"{role} may {action} in {where}, which is insert only")
    for name, table in INSERT_ONLY.items():
        policy = resources[name]["Properties"].get("ResourcePolicy", {"PolicyDocument": {"Statement": []}})
        denied = {
            action
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Principal"] == "*" and "Condition" not in statement
            and statement["Resource"]["Fn::Sub"].endswith(f":table/{table}")
            for action in several(statement["Action"])
        }
        faults += [f"{name} does not deny {action} to everyone" for action in sorted(DENIED - denied)]
    return faults


def roles_of_functions(resources: dict) -> list[str]:
    faults, taken = [], {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            role = resource["Properties"]["Role"].get("Fn::GetAtt", [None])[0]
            if role != f"{name}Role":
                faults.append(f"{name} has the role {role}, not one of its own")
            taken[role] = name
    roles = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"]
    for role in roles:
        trusted = json.dumps(resources[role]["Properties"]["AssumeRolePolicyDocument"])
        service = "lambda" if role in taken else "states"
        if f'"{service}.amazonaws.com"' not in trusted or trusted.count("amazonaws.com") != 1:
            faults.append(f"{role} can be taken on by others than {service}")
    return faults


def faults(template: dict) -> list[str]:
    """Everything that is not as the table says, and whatever else is wrong with permissions."""
    resources = template["Resources"]
    keys, found_faults = of_keys(resources)
    found = {
        name.removesuffix("Role"): of_role(resource, resources) | keys.get(name, set())
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    for name in sorted(found.keys() | MAY.keys()):
        may, should = found.get(name, set()), allowed(MAY.get(name, []))
        found_faults += [f"{name} may {action} on {where}: not in the table" for where, action in sorted(may - should)]
        found_faults += [f"{name} may not {action} on {where}: the table says so" for where, action in sorted(should - may)]
        for where, action in sorted(may):
            if "*" in action or (where.split("[")[0] == "*" and action not in EVERYTHING):
                found_faults.append(f"{name}: {action} on {where} is too wide")
    found_faults += [
        f"{name}: a {resource['Type']} that this check does not know" for name, resource in resources.items()
        if resource["Type"] in GRANTING
    ]
    return found_faults + kept_insert_only(resources, found) + roles_of_functions(resources)


def _grant(role: str, action: str, resource):
    def worsen(resources: dict) -> None:
        statement = {"Effect": "Allow", "Action": [action], "Resource": resource}
        policy = {"PolicyName": "More", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
        resources[role]["Properties"].setdefault("Policies", []).append(policy)

    return worsen


def _share(resources: dict) -> None:
    resources["Queries"]["Properties"]["Role"] = {"Fn::GetAtt": ["StatsRole", "Arn"]}


def _use_key(resources: dict) -> None:
    resources["AuditKey"]["Properties"]["KeyPolicy"]["Statement"][0]["Action"].append("kms:*")


def _undeny(resources: dict) -> None:
    del resources["AuditTable"]["Properties"]["ResourcePolicy"]


def _unheld(resources: dict) -> None:
    for statement in resources["ServeRequests"]["Properties"]["PolicyDocument"]["Statement"]:
        statement.pop("Condition", None)


def _basic(resources: dict) -> None:
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    resources["StatsRole"]["Properties"]["ManagedPolicyArns"].append(arn)


def _outsider(resources: dict) -> None:
    trust = resources["ConsumerRole"]["Properties"]["AssumeRolePolicyDocument"]
    trust["Statement"].append({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


# Each of these must be found out.
WORSE = [
    ("the consumer updates events", _grant("ConsumerRole", "dynamodb:UpdateItem", {"Fn::GetAtt": ["EventsTable", "Arn"]})),
    ("an endpoint deletes records", _grant("StatsRole", "dynamodb:DeleteItem", {"Fn::GetAtt": ["AuditTable", "Arn"]})),
    ("an endpoint signs", _grant("StatsRole", "kms:Sign", {"Fn::GetAtt": ["AuditKey", "Arn"]})),
    ("any action", _grant("MetricsRole", "dynamodb:*", {"Fn::GetAtt": ["ControlTable", "Arn"]})),
    ("any resource", _grant("MetricsRole", "dynamodb:Query", "*")),
    ("a role for two", _share),
    ("a key for the whole account", _use_key),
    ("a trail that can be changed", _undeny),
    ("keys that hold nobody", _unheld),
    ("a policy of AWS's own", _basic),
    ("a role for anybody", _outsider),
]
