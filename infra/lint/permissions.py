"""Who may do what: the policies of the expanded template against infra/rights.toml."""

import json
import re
import tomllib
from pathlib import Path

RIGHTS = tomllib.loads((Path(__file__).parent.parent / "rights.toml").read_text())

# What else may invoke a function, by its service: the API an endpoint, a rule a job.
INVOKED_BY = {"apigateway.amazonaws.com": "execute-api", "events.amazonaws.com": "EveryMinute"}

# The types of resources that the stack may have. Other types may grant rights of their own (queue
# and topic policies, policies of IAM, function URLs): before adding a type, see whether it does,
# and check it below.
TYPES = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Route53::RecordSet",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
}
# Of types that grant rights: the properties that this check covers.
UNDERSTOOD = {
    "AWS::IAM::ManagedPolicy": {"PolicyDocument"},
    "AWS::IAM::Role": {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"},
    "AWS::Lambda::Permission": {"Action", "FunctionName", "Principal", "SourceArn"},
}

ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"
# The only ARNs that statements may spell out, with their names in the table.
PLACES = {
    ARN % ("dynamodb", "table/torale-projections-*"): "projections",
    ARN % ("sqs", "${CommandsForwardQueue}"): "CommandsForwardQueue",
    "${ControlTable.Arn}/stream/*": "ControlTable/stream",
}

# Actions for which AWS knows no finer resource than everything.
EVERYTHING = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "cloudwatch:PutMetricData",
    "cloudwatch:GetMetricStatistics",
    "dynamodb:ListTables",
    # Lambda's own rights for a function in a VPC.
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
# Tables that are only ever inserted into; what may be done to their items, and what their own
# policies deny.
INSERT_ONLY = {"EventsTable": "torale-events", "AuditTable": "torale-audit"}
ALLOWED = {f"dynamodb:{action}" for action in ["PutItem", "GetItem", "BatchGetItem", "Query", "Scan"]}
DENIED = {
    f"dynamodb:{action}"
    for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete"]
}


def several(value) -> list:
    return value if isinstance(value, list) else [value]


def place(resource) -> str:
    """A statement's resource by its name in the table."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return name
        case {"Fn::Sub": str(text)} if text in PLACES:
            return PLACES[text]
        case _:
            return resource if isinstance(resource, str) else json.dumps(resource)


def compared(quantifier: str, names: list[str]) -> dict:
    """A comparison of all, or any, of the keys of a request. In StringEquals an asterisk stands for itself."""
    operator = "StringLike" if any("*" in name for name in names) else "StringEquals"
    return {f"{quantifier}:{operator}": {"dynamodb:LeadingKeys": names}}


def among(names: list[str]) -> str:
    """How `grants` and `allowed` write the keys that a transaction may name along with an action's own."""
    return f" among [{' '.join(sorted(names))}]"


def condition(statement: dict) -> str:
    """The condition of a statement as the table writes it: keys, counting only, or a namespace."""
    found = statement.get("Condition", {})
    listed = [keys["dynamodb:LeadingKeys"] for keys in found.values() if "dynamodb:LeadingKeys" in keys]
    match listed:
        case [names] if found == compared("ForAllValues", names):
            return f"[{' '.join(names)}]"
        case [names, own] if found == compared("ForAllValues", names) | compared("ForAnyValue", own):
            return f"[{' '.join(own)}]{among(names)}"
    if found == {"StringEquals": {"dynamodb:Select": "COUNT"}}:
        return "(count)"
    if found == {"StringEquals": {"cloudwatch:namespace": "Torale/Admin"}}:
        return "[Torale/Admin]"
    return f"[{json.dumps(found)}]" if found else ""


def statements(document: dict) -> list[dict]:
    """A policy's statements, including those under a condition of the template."""
    found = []
    for statement in several(document["Statement"]):
        options = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
        found += [option for option in options if option != {"Ref": "AWS::NoValue"}]
    return found


def grants(document: dict) -> set[tuple[str, str]]:
    """Pairs of a resource, with its condition, and an action."""
    found = set()
    for statement in statements(document):
        if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
            found.add((json.dumps(statement), "is a statement that this check does not understand"))
            continue
        for resource in several(statement["Resource"]):
            where = place(resource) + condition(statement)
            found |= {(where, action) for action in several(statement["Action"])}
    return found


def allowed(rows: list[str]) -> set[tuple[str, str]]:
    found = set()
    for row in rows:
        if row in RIGHTS["groups"]:
            found |= allowed(RIGHTS["groups"][row])
            continue
        where, actions = row.rsplit(": ", 1)
        where, service = where.rsplit(" ", 1)
        found |= {(where, f"{service}:{action}") for action in actions.split()}
    return found


def transacted(role: str, rights: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The rights of a role, where a transaction names further keys with those."""
    def groups(rows: list[str]) -> set[str]:
        named = {row for row in rows if row in RIGHTS["groups"]}
        return named.union(*(groups(RIGHTS["groups"][name]) for name in named))

    changed = dict.fromkeys(rights)
    for name in groups(RIGHTS["roles"].get(role, [])) | {role}:
        parts = [row.rsplit(" ", 1) for row in RIGHTS["transactions"].get(name, [])]
        keys = {key for where, _ in parts for key in where.partition("[")[2].rstrip("]").split()}
        for where, action in parts:
            own = set(where.partition("[")[2].rstrip("]").split())
            changed[where, f"dynamodb:{action}"] = where + (among(list(keys)) if own != keys else "")
    return {(changed.get(right) or right[0], right[1]) for right in changed}


def of_role(role: dict, resources: dict) -> set[tuple[str, str]]:
    properties, found = role["Properties"], set()
    for policy in properties.get("ManagedPolicyArns", []):
        name = policy.get("Ref") if isinstance(policy, dict) else None
        if name in resources:
            found |= grants(resources[name]["Properties"]["PolicyDocument"])
        else:
            found.add((json.dumps(policy), "is a policy outside this template"))
    for policy in properties.get("Policies", []):
        found |= grants(policy["PolicyDocument"])
    return found


def of_keys(resources: dict) -> tuple[dict[str, set], list[str]]:
    """The rights of roles by keys' own policies; findings about anything beyond those and managing a key."""
    given, found = {}, []
    for name, resource in resources.items():
        if resource["Type"] != "AWS::KMS::Key":
            continue
        for statement in resource["Properties"]["KeyPolicy"]["Statement"]:
            actions = several(statement["Action"])
            match statement["Principal"]:
                case {"AWS": {"Fn::GetAtt": [role, "Arn"]}}:
                    given.setdefault(role, set()).update((name, action) for action in actions)
                case {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}:
                    used = [a for a in actions if "*" in a or a.split(":")[1] in ("Sign", "CreateGrant")]
                    found += [f"{name}: {action} for more than a role" for action in used]
                case other:
                    found.append(f"{name}: rights for {other}")
    return given, found


def of_tables(resources: dict) -> list[str]:
    """Tables' own policies only deny, and deny changes of tables that are insert only."""
    found = []
    for name, resource in resources.items():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        policy = resource["Properties"].get("ResourcePolicy", {}).get("PolicyDocument", {"Statement": []})
        if any(statement["Effect"] != "Deny" for statement in policy["Statement"]):
            found.append(f"{name}: its own policy allows something")
        denied = {
            action
            for statement in policy["Statement"]
            if statement["Principal"] == "*" and "Condition" not in statement
            and statement["Resource"] == {"Fn::Sub": ARN % ("dynamodb", f"table/{INSERT_ONLY.get(name)}")}
            for action in several(statement["Action"])
        }
        missing = DENIED - denied if name in INSERT_ONLY else set()
        found += [f"{name} does not deny {action} to everyone" for action in sorted(missing)]
    return found


def documented(page: str) -> list[str]:
    """The runbook's command for a restored table denies the same."""
    typed = page.partition("put-resource-policy")[2].partition("```")[0]
    return [] if set(re.findall(r"dynamodb:\w+", typed)) == DENIED else ["docs/operations/restore.md: the policy of a restored table differs"]


def of_invokers(resources: dict) -> list[str]:
    """Functions are invoked by this stack's own API and rules only."""
    found = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Permission":
            properties = resource["Properties"]
            by, source = INVOKED_BY.get(json.dumps(properties["Principal"]).strip('"')), properties.get("SourceArn")
            match source:
                case {"Fn::Sub": [str(arn), {"__ApiId__": {"Ref": "Api"}, "__Stage__": "*"}]}:
                    known = by == "execute-api" and arn.startswith(ARN % (by, "${__ApiId__}/${__Stage__}/"))
                case {"Fn::GetAtt": [rule, "Arn"]}:
                    known = by is not None and rule.endswith(by) and rule in resources
                case _:
                    known = False
            if not known or properties["Action"] != "lambda:InvokeFunction":
                found.append(f"{name}: {properties['Action']} for {properties['Principal']} by {json.dumps(source)}")
    return found


def insert_only(rights: dict[str, set]) -> list[str]:
    return [
        f"{role} may {action} in {where}, which is insert only"
        for role, may in rights.items() for where, action in may
        if where.split("[")[0] in INSERT_ONLY and action not in ALLOWED
    ]


def unknown(resources: dict) -> list[str]:
    """Resources and properties that this check does not cover."""
    found = []
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {}).keys()
        if kind not in TYPES:
            found.append(f"{name}: a {kind}, which this check does not cover")
        more = properties - UNDERSTOOD.get(kind, properties)
        found += [f"{name}: {key} of a {kind}, which this check does not cover" for key in sorted(more)]
    return found


def roles_of_functions(resources: dict) -> list[str]:
    found, taken = [], {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            role = resource["Properties"]["Role"].get("Fn::GetAtt", [None])[0]
            if role != f"{name}Role":
                found.append(f"{name} has the role {role}, not one of its own")
            taken[role] = name
    roles = [name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"]
    for role in roles:
        trusted = json.dumps(resources[role]["Properties"]["AssumeRolePolicyDocument"])
        service = "lambda" if role in taken else "states"
        if f'"{service}.amazonaws.com"' not in trusted or trusted.count("amazonaws.com") != 1:
            found.append(f"{role} can be taken on by others than {service}")
    return found


def findings(template: dict) -> list[str]:
    """Rights that differ from the table, and whatever else is wrong with permissions."""
    resources = template["Resources"]
    keys, found = of_keys(resources)
    rights = {
        name.removesuffix("Role"): of_role(resource, resources) | keys.get(name, set())
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    roles = RIGHTS["roles"]
    for name in sorted(rights.keys() | roles.keys()):
        may, should = rights.get(name, set()), transacted(name, allowed(roles.get(name, [])))
        found += [f"{name} may {action} on {where}: not in the table" for where, action in sorted(may - should)]
        found += [f"{name} may not {action} on {where}: the table grants it" for where, action in sorted(should - may)]
        for where, action in sorted(may):
            if "*" in action or (where.split("[")[0] == "*" and action not in EVERYTHING):
                found.append(f"{name}: {action} on {where} is too wide")
            if action == "dynamodb:Scan" and "[" in where:
                found.append(f"{name}: a scan names no keys, so this condition always holds: {where}")
    checks = [unknown(resources), of_tables(resources), of_invokers(resources), insert_only(rights)]
    return found + sum(checks, []) + roles_of_functions(resources)


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


def _literally(resources: dict) -> None:
    for statement in resources["ServeRequests"]["Properties"]["PolicyDocument"]["Statement"]:
        if "Condition" in statement:
            statement["Condition"] = {"ForAllValues:StringEquals": statement["Condition"]["ForAllValues:StringLike"]}


def _apart(resources: dict) -> None:
    for statement in resources["OrderCommands"]["Properties"]["PolicyDocument"]["Statement"]:
        statement.get("Condition", {}).pop("ForAllValues:StringLike", None)


def _alone(resources: dict) -> None:
    for statement in resources["OrderCommands"]["Properties"]["PolicyDocument"]["Statement"]:
        statement.get("Condition", {}).pop("ForAnyValue:StringLike", None)


def _along(resources: dict) -> None:
    for statement in resources["OrderCommands"]["Properties"]["PolicyDocument"]["Statement"]:
        for keys in statement.get("Condition", {}).values():
            keys["dynamodb:LeadingKeys"] = [*keys["dynamodb:LeadingKeys"], "log"]


def _from_there(resources: dict) -> None:
    for statement in resources["ReadPointer"]["Properties"]["PolicyDocument"]["Statement"]:
        statement["Condition"]["IpAddress"] = {"aws:SourceIp": "192.0.2.1"}


def _basic(resources: dict) -> None:
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    resources["StatsRole"]["Properties"]["ManagedPolicyArns"].append(arn)


def _outsider(resources: dict) -> None:
    trust = resources["ConsumerRole"]["Properties"]["AssumeRolePolicyDocument"]
    trust["Statement"].append({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


def _add(kind: str, **properties):
    def worsen(resources: dict) -> None:
        resources["More"] = {"Type": kind, "Properties": properties}

    return worsen


def _allow(resources: dict) -> None:
    everything = {"Effect": "Allow", "Principal": "*", "Action": "dynamodb:*", "Resource": "*"}
    resources["EventsTable"]["Properties"]["ResourcePolicy"]["PolicyDocument"]["Statement"].append(everything)


def _elsewhere(resources: dict) -> None:
    for statement in resources["ReadProjections"]["Properties"]["PolicyDocument"]["Statement"]:
        statement["Resource"] = {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:*:*:table/torale-projections-*"}


def _attach(resources: dict) -> None:
    resources["ReadProjections"]["Properties"]["Roles"] = [{"Ref": "ClerkWebhookRole"}]


def _bystander(resources: dict) -> None:
    resources["StatsRoutePermission"]["Properties"]["Principal"] = "*"


def _passerby(resources: dict) -> None:
    del resources["StatsRoutePermission"]["Properties"]["SourceArn"]


EVERYTHING_TO_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}

# Each of these must be noticed.
WORSE = [
    ("a policy beside the role", _add("AWS::IAM::RolePolicy", RoleName={"Ref": "StatsRole"}, PolicyDocument=EVERYTHING_TO_ALL)),
    ("a queue with a policy", _add("AWS::SQS::QueueInlinePolicy", Queue={"Ref": "EventsQueue"}, PolicyDocument=EVERYTHING_TO_ALL)),
    ("a function with an address", _add("AWS::Lambda::Url", AuthType="NONE", TargetFunctionArn={"Ref": "Replay"})),
    ("a policy that attaches itself", _attach),
    ("a table that allows", _allow),
    ("tables of every region and account", _elsewhere),
    ("a function for anybody", _bystander),
    ("a function for every API", _passerby),
    ("the consumer updates events", _grant("ConsumerRole", "dynamodb:UpdateItem", {"Fn::GetAtt": ["EventsTable", "Arn"]})),
    ("an endpoint deletes records", _grant("StatsRole", "dynamodb:DeleteItem", {"Fn::GetAtt": ["AuditTable", "Arn"]})),
    ("an endpoint signs", _grant("StatsRole", "kms:Sign", {"Fn::GetAtt": ["AuditKey", "Arn"]})),
    ("any action", _grant("MetricsRole", "dynamodb:*", {"Fn::GetAtt": ["ControlTable", "Arn"]})),
    ("any resource", _grant("MetricsRole", "dynamodb:Query", "*")),
    ("a role for two", _share),
    ("a key for the whole account", _use_key),
    ("a trail that can be changed", _undeny),
    ("keys that hold nobody", _unheld),
    ("keys that fit nothing", _literally),
    ("a condition more", _from_there),
    ("keys of which only one must fit", _apart),
    ("a transaction's keys for each of its actions", _alone),
    ("another key along with a transaction's", _along),
    ("a policy of AWS's own", _basic),
    ("a role for anybody", _outsider),
]
