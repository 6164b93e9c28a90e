"""Who may do what: infra/rights.toml, against the policies of the expanded template."""

import json
import re
import tomllib
from pathlib import Path

RIGHTS = tomllib.loads((Path(__file__).parent.parent / "rights.toml").read_text())

# Who else may start a function, by what: the API its endpoints, a rule its job.
STARTED_BY = {"apigateway.amazonaws.com": "execute-api", "events.amazonaws.com": "EveryMinute"}

# Everything that the stack may consist of. What is not here may grant something of its own (queue and topic policies,
# policies of IAM, function URLs): whoever adds a type looks at that first, and has it checked below if it does.
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
# Of those that grant: every property that is understood here.
UNDERSTOOD = {
    "AWS::IAM::ManagedPolicy": {"PolicyDocument"},
    "AWS::IAM::Role": {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"},
    "AWS::Lambda::Permission": {"Action", "FunctionName", "Principal", "SourceArn"},
}

ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"
# The places that statements spell out: these and no others.
PLACES = {
    ARN % ("dynamodb", "table/torale-projections-*"): "projections",
    ARN % ("sqs", "${CommandsForwardQueue}"): "CommandsForwardQueue",
    "${ControlTable.Arn}/stream/*": "ControlTable/stream",
}

# Where AWS has nothing finer than everything.
EVERYTHING = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
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


def several(value) -> list:
    return value if isinstance(value, list) else [value]


def place(resource) -> str:
    """A statement's resource as the table names it."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return name
        case {"Fn::Sub": str(text)} if text in PLACES:
            return PLACES[text]
        case _:
            return resource if isinstance(resource, str) else json.dumps(resource)


def condition(statement: dict) -> str:
    """The keys, the way of reading, or the namespace that a statement is held to."""
    found = statement.get("Condition", {})
    for keys in found.values():
        names = keys.get("dynamodb:LeadingKeys", [])
        # An asterisk is a sign like others where texts must be equal.
        compared = "StringLike" if any("*" in name for name in names) else "StringEquals"
        if names and found == {f"ForAllValues:{compared}": {"dynamodb:LeadingKeys": names}}:
            return f"[{' '.join(names)}]"
    if found == {"StringEquals": {"dynamodb:Select": "COUNT"}}:
        return "(count)"
    if found == {"StringEquals": {"cloudwatch:namespace": "Torale/Admin"}}:
        return "[Torale/Admin]"
    return f"[{json.dumps(found)}]" if found else ""


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
        if row in RIGHTS["groups"]:
            found |= allowed(RIGHTS["groups"][row])
            continue
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
                case {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}:
                    used = [a for a in actions if "*" in a or a.split(":")[1] in ("Sign", "CreateGrant")]
                    faults += [f"{name}: {action} for more than a role" for action in used]
                case other:
                    faults.append(f"{name}: something for {other}")
    return given, faults


def of_tables(resources: dict) -> list[str]:
    """Tables' own policies only ever deny, and deny changes of what is only inserted."""
    faults = []
    for name, resource in resources.items():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        policy = resource["Properties"].get("ResourcePolicy", {}).get("PolicyDocument", {"Statement": []})
        if any(statement["Effect"] != "Deny" for statement in policy["Statement"]):
            faults.append(f"{name}: its own policy allows something")
        denied = {
            action
            for statement in policy["Statement"]
            if statement["Principal"] == "*" and "Condition" not in statement
            and statement["Resource"] == {"Fn::Sub": ARN % ("dynamodb", f"table/{INSERT_ONLY.get(name)}")}
            for action in several(statement["Action"])
        }
        missing = DENIED - denied if name in INSERT_ONLY else set()
        faults += [f"{name} does not deny {action} to everyone" for action in sorted(missing)]
    return faults


def documented(page: str) -> list[str]:
    """What a table that was brought back is to deny, as an operator types it."""
    typed = page.partition("put-resource-policy")[2].partition("```")[0]
    return [] if set(re.findall(r"dynamodb:\w+", typed)) == DENIED else ["docs/operations.md: a table denies something else"]


def of_starters(resources: dict) -> list[str]:
    """Functions are started by what belongs to this stack, under the name of who may do so."""
    faults = []
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Permission":
            properties = resource["Properties"]
            by, source = STARTED_BY.get(json.dumps(properties["Principal"]).strip('"')), properties.get("SourceArn")
            match source:
                case {"Fn::Sub": [str(arn), {"__ApiId__": {"Ref": "Api"}, "__Stage__": "*"}]}:
                    known = by == "execute-api" and arn.startswith(ARN % (by, "${__ApiId__}/${__Stage__}/"))
                case {"Fn::GetAtt": [rule, "Arn"]}:
                    known = by is not None and rule.endswith(by) and rule in resources
                case _:
                    known = False
            if not known or properties["Action"] != "lambda:InvokeFunction":
                faults.append(f"{name}: {properties['Action']} for {properties['Principal']} by {json.dumps(source)}")
    return faults


def kept_insert_only(found: dict[str, set]) -> list[str]:
    return [
        f"{role} may {action} in {where}, which is insert only"
        for role, may in found.items() for where, action in may
        if where.split("[")[0] in INSERT_ONLY and action not in HARMLESS
    ]


def unknown(resources: dict) -> list[str]:
    """What this check does not know, and so can't answer for."""
    faults = []
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {}).keys()
        if kind not in TYPES:
            faults.append(f"{name}: a {kind} that this check does not know")
        more = properties - UNDERSTOOD.get(kind, properties)
        faults += [f"{name}: {key} of a {kind} that this check does not know" for key in sorted(more)]
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
    roles = RIGHTS["roles"]
    for name in sorted(found.keys() | roles.keys()):
        may, should = found.get(name, set()), allowed(roles.get(name, []))
        found_faults += [f"{name} may {action} on {where}: not in the table" for where, action in sorted(may - should)]
        found_faults += [f"{name} may not {action} on {where}: the table says so" for where, action in sorted(should - may)]
        for where, action in sorted(may):
            if "*" in action or (where.split("[")[0] == "*" and action not in EVERYTHING):
                found_faults.append(f"{name}: {action} on {where} is too wide")
            if action == "dynamodb:Scan" and "[" in where:
                found_faults.append(f"{name}: a scan names no keys, and a condition on all of none is met: {where}")
    checks = [unknown(resources), of_tables(resources), of_starters(resources), kept_insert_only(found)]
    return found_faults + sum(checks, []) + roles_of_functions(resources)


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

# Each of these must be found out.
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
    ("a policy of AWS's own", _basic),
    ("a role for anybody", _outsider),
]
