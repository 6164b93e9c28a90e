"""Everything that the emulator does otherwise than AWS, with the reason, in this one file.

Two lists: `TEMPLATE` changes the expanded template before it is deployed, `SHIMS` changes the
emulator (`emulator.py` installs them in its process). Each entry can find out whether it is
still needed; the check fails as soon as one is not, so that it is removed. The version of the emulator is
pinned in `pyproject.toml`: the shims reach into its modules.
"""

import contextvars
import functools
import importlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faults
import readings
import record
from account import Account

Resources = dict[str, dict[str, Any]]
Parameters = dict[str, dict[str, Any]]


# What changes of the template.


@dataclass(frozen=True)
class Change:
    """A change of the template: `probe` is a template, from which `needed` sees whether it is still needed."""

    reason: str
    apply: Callable[[Resources, Parameters], None]
    probe: Resources
    needed: Callable[[Account], bool]


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


def set_up_tables(account: Account, resources: Resources) -> None:
    """Gives tables what their creation ignores: policies of their own, expiry, recovery."""
    dynamodb = account.client("dynamodb")
    for table in _of_type(resources, "AWS::DynamoDB::Table").values():
        name = table["TableName"]
        if policy := table.get("ResourcePolicy"):
            arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
            document = json.loads(json.dumps(policy["PolicyDocument"]))
            for statement in document["Statement"]:
                statement["Resource"] = account.substitute(statement["Resource"]["Fn::Sub"])
            dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document))
        if expiry := table.get("TimeToLiveSpecification"):
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
        if recovery := table.get("PointInTimeRecoverySpecification"):
            dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)


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


PROBE_TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "TableName": "probe",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
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


def _table_incomplete(account: Account) -> bool:
    dynamodb = account.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName="probe")["TimeToLiveDescription"]["TimeToLiveStatus"]
    backups = dynamodb.describe_continuous_backups(TableName="probe")["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    arn = dynamodb.describe_table(TableName="probe")["Table"]["TableArn"]
    try:
        dynamodb.get_resource_policy(ResourceArn=arn)
    except dynamodb.exceptions.ClientError:
        return True
    return (expiry, recovery) != ("ENABLED", "ENABLED")


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
    "tables get policies, expiry and recovery by calls": Change(
        "their creation ignores ResourcePolicy, TimeToLive and PointInTimeRecovery; see set_up_tables",
        _nothing,
        {"ProbeTable": PROBE_TABLE},
        _table_incomplete,
    ),
}


def adapted(template: dict[str, Any]) -> dict[str, Any]:
    """The expanded template as the emulator can deploy it."""
    changed: dict[str, Any] = json.loads(json.dumps(template))
    for change in TEMPLATE.values():
        change.apply(changed["Resources"], changed["Parameters"])
    return changed


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
        f"adaptations.py, TEMPLATE: not needed any more: {name}"
        for name, of in TEMPLATE.items()
        if not of.needed(account)
    ]


# What changes of the emulator. Everything below runs in its process; its modules are imported where
# they are used, since the check itself does not load them.


@dataclass(frozen=True)
class Shim:
    """A change of the emulator, which `needed` examines before it is made."""

    reason: str
    needed: Callable[[], bool]
    install: Callable[[], None]


# The items of the request that is being decided, for `dynamodb:LeadingKeys`: see readings.py.
ITEMS = "torale:Items"
# The role of the state machine that runs in this thread.
_MACHINE: contextvars.ContextVar[str] = contextvars.ContextVar("machine", default="")
SQS_BATCHES = ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
OPERATION = re.compile(r"/operation/(\w+)$")
PARTIQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b[^\"]*\"([^\"]+)\"", re.IGNORECASE)


def _source(module: str) -> str:
    return inspect.getsource(importlib.import_module(f"ministack.{module}"))


def _wrap(module: str, name: str, wrapper: Callable[..., Any]) -> None:
    """Replaces a function of the emulator by one that receives it as its first argument."""
    of = importlib.import_module(f"ministack.{module}")
    original = getattr(of, name)
    setattr(of, name, functools.wraps(original)(functools.partial(wrapper, original)))


def _session(access_key: str) -> list[str]:
    """Role and name of the session that a key belongs to; nothing if it is not a role's."""
    sts = importlib.import_module("ministack.services.sts")
    arn = sts._sessions.get(access_key, {}).get("Arn", "")
    return arn.split(":assumed-role/")[1].split("/") if ":assumed-role/" in arn else []


def _note(session: list[str], action: str, resource: str, context: dict[str, Any], *, denied: bool) -> None:
    if session:
        keys = context.get("dynamodb:LeadingKeys", [])
        asked = {name: context.get(key, "") for name, key in CONTEXT.items()}
        entry = {"role": session[0], "session": session[1], "action": action, "resource": resource, "keys": keys}
        record.write(entry | asked | {"denied": denied})


CONTEXT = {"select": "dynamodb:Select", "namespace": "cloudwatch:namespace"}


def _enforce(original: Any, key: str, action: str, service: str, region: str, resource_arn: str = "*",
             service_context: dict[str, Any] | None = None) -> Any:  # fmt: skip
    context = dict(service_context or {})
    of = context.pop(ITEMS, [])
    decided = readings.decisions(of, action, resource_arn.rsplit(":table/", maxsplit=1)[-1]) if of else []
    contexts = [context | {"dynamodb:LeadingKeys": keys} for keys in decided] or [context]
    denied = None
    for each in contexts:
        if denied := original(key, action, service, region, resource_arn=resource_arn, service_context=each):
            break
    _note(_session(key), action, resource_arn, each, denied=bool(denied))
    return denied


def _leading_keys() -> None:
    def with_items(original: Any, body: bytes) -> dict[str, Any]:
        return {**original(body), ITEMS: readings.of_body(body)}

    _wrap("core.iam_actions", "dynamodb_service_context", with_items)
    _wrap("core.iam_evaluator", "enforce", _enforce)


def _table_policies() -> None:
    dynamodb: Any = importlib.import_module("ministack.services.dynamodb")

    def policy(arn: str) -> tuple[str, str] | None:
        found = dynamodb._resource_policies.get(arn)
        return (found["Policy"], arn.split(":")[4]) if found else None

    dynamodb.table_policy_for_arn = policy
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    evaluator._RESOURCE_POLICY_LOOKUPS["dynamodb"] = ("dynamodb", "table_policy_for_arn")


def _namespace(body: bytes, params: dict[str, Any]) -> Any:
    if "Namespace" in params:
        return params["Namespace"]
    if body[:1] == b"{":
        return json.loads(body).get("Namespace")
    return importlib.import_module("cbor2").loads(body).get("Namespace")


def _namespaces() -> None:
    def tags(original: Any, service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = original(service, action, body, params)
        if action == "cloudwatch:PutMetricData":
            found = {**found, "cloudwatch:namespace": _namespace(body, params)}
        return found

    _wrap("core.iam_actions", "request_tag_context", tags)


def _statement(body: bytes) -> re.Match[str] | None:
    request = json.loads(body)
    several = request.get("Statements") or request.get("TransactStatements") or [request]
    return PARTIQL.match(several[0].get("Statement", ""))


def _actions() -> None:
    def action(
        original: Any, service: str, method: str, path: str, headers: Any, body: bytes, params: Any
    ) -> str | None:
        found: str | None = original(service, method, path, headers, body, params)
        if service == "monitoring" and (operation := OPERATION.search(path)):
            return f"cloudwatch:{operation[1]}"
        if found in {f"sqs:{name}Batch" for name in SQS_BATCHES}:
            return found.removesuffix("Batch")
        if found and found.startswith("dynamodb:") and found.endswith(("ExecuteStatement", "ExecuteTransaction")):
            parsed = _statement(body)
            return f"dynamodb:PartiQL{parsed[1].capitalize()}" if parsed else found
        return found

    def resource(original: Any, service: str, method: str, path: str, headers: Any, body: bytes, params: Any,
                 region: str, account: str) -> str:  # fmt: skip
        if service == "monitoring" and OPERATION.search(path):
            return "*"
        if service == "dynamodb" and b"Statement" in body and (parsed := _statement(body)):
            return f"arn:aws:dynamodb:{region}:{account}:table/{parsed[2]}"
        found = str(original(service, method, path, headers, body, params, region, account))
        stream = json.loads(body).get("logStreamName") if service == "logs" and body else None
        return f"{found}:log-stream:{stream}" if stream else found

    _wrap("core.iam_actions", "extract_iam_action", action)
    _wrap("core.iam_actions", "extract_resource_arn", resource)


def _role_may(role_arn: str, session: str, action: str, resource: str) -> bool:
    """What `_enforce` decides for callers, for a service that acts with a role."""
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    account, role = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    context = evaluator.EvalContext(role_arn, "AssumedRole", account, action, resource, "")
    policies = evaluator._gather_role_policies(role, account)
    allowed: bool = evaluator.evaluate(context, policies).decision == "Allow"
    _note([role, session], action, resource, {}, denied=not allowed)
    return allowed


def _service_may(service: str, function_arn: str, source_arn: str) -> bool:
    """Whether a function's policy lets a service invoke it on behalf of a source."""
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    policy = importlib.import_module("ministack.services.lambda_svc").function_policy_for_arn(function_arn)
    context = evaluator.EvalContext(service, "Service", "", "lambda:InvokeFunction", function_arn, "")
    context.service_context["aws:sourcearn"] = source_arn
    found = evaluator.evaluate_resource_policy(policy[0] if policy else None, context, service=service)
    allowed = bool(found.decision == "Allow")
    _note([service, source_arn], context.action, function_arn, {}, denied=not allowed)
    return allowed


def _pollers() -> None:
    functions = importlib.import_module("ministack.services.lambda_svc")

    def may(source: str, actions: list[str]) -> bool:
        mappings = [of for _, _, of in functions._iter_all_esms() if of["EventSourceArn"] == source]
        roles = {functions._functions[of["FunctionName"]]["config"]["Role"] for of in mappings}
        return all(_role_may(role, "poller", action, source) for role in roles for action in actions)

    def receive(original: Any, queue_url: str, number: int) -> Any:
        source = importlib.import_module("ministack.services.sqs")._queues[queue_url]["attributes"]["QueueArn"]
        actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        return original(queue_url, number) if may(source, actions) else []

    def records(original: Any, table: str, *rest: Any, **more: Any) -> Any:
        source = importlib.import_module("ministack.services.dynamodb")._tables[table]["LatestStreamArn"]
        actions = ["DescribeStream", "GetShardIterator", "GetRecords", "ListStreams"]
        return original(table, *rest, **more) if may(source, [f"dynamodb:{name}" for name in actions]) else []

    _wrap("services.sqs", "_receive_messages_for_esm", receive)
    _wrap("services.dynamodb", "stream_records_since", records)


def _machines() -> None:
    machines = importlib.import_module("ministack.services.stepfunctions")

    def run(original: Any, execution_arn: str) -> Any:
        machine = machines._executions[execution_arn]["stateMachineArn"]
        _MACHINE.set(machines._state_machines[machine]["roleArn"])
        return original(execution_arn)

    def call(original: Any, function: str, event: Any) -> Any:
        if not _role_may(_MACHINE.get(), "execution", "lambda:InvokeFunction", function):
            raise machines._ExecutionError("Lambda.AWSLambdaException", f"not authorized to invoke {function}")
        return original(function, event)

    _wrap("services.stepfunctions", "_run_execution", run)
    _wrap("services.stepfunctions", "_call_lambda", call)


def _invokers() -> None:
    async def request(original: Any, integration: Any, api: str, stage: str, path: str, method: str, *rest: Any,
                      **more: Any) -> Any:  # fmt: skip
        function = integration["integrationUri"].split("/functions/")[1].removesuffix("/invocations")
        account, region = function.split(":")[4], function.split(":")[3]
        source = f"arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}{path}"
        if not _service_may("apigateway.amazonaws.com", function, source):
            return 500, {"Content-Type": "application/json"}, b'{"message": "Internal Server Error"}'
        return await original(integration, api, stage, path, method, *rest, **more)

    def rule(original: Any, target: dict[str, Any], event: Any, of: dict[str, Any], *rest: Any) -> Any:
        allowed = _service_may("events.amazonaws.com", target["Arn"], of["Arn"])
        return original(target, event, of, *rest) if allowed else None

    _wrap("services.apigateway", "_invoke_lambda_proxy", request)
    _wrap("services.eventbridge", "_invoke_target", rule)


def _logs() -> None:
    def emit(original: Any, function: dict[str, Any], request: str, text: str, *rest: Any, **more: Any) -> None:
        config = function.get("config") or function
        account, region = (config["FunctionArn"].split(":")[part] for part in (4, 3))
        group = f"arn:aws:logs:{region}:{account}:log-group:{config['LoggingConfig']['LogGroup']}"
        actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
        if all(_role_may(config["Role"], "logs", action, f"{group}:log-stream:1") for action in actions):
            original(function, request, text, *rest, **more)

    _wrap("services.lambda_svc", "_emit_lambda_logs", emit)


class Tapped:
    """The output of a function, whose embedded metrics are published while it is read."""

    def __init__(self, output: Any) -> None:
        self.output = output
        self.cloudwatch: Any = importlib.import_module("ministack.services.cloudwatch")

    def readline(self) -> bytes:
        """The next line."""
        line: bytes = self.output.readline()
        if b'"CloudWatchMetrics"' in line:
            entry = json.loads(line)
            for block in entry["_aws"]["CloudWatchMetrics"]:
                for metric in block["Metrics"]:
                    self.cloudwatch.record_metric(block["Namespace"], metric["Name"], float(entry[metric["Name"]]))
        return line

    def close(self) -> None:
        """Closes it."""
        self.output.close()


def _embedded_metrics() -> None:
    worker = importlib.import_module("ministack.core.lambda_runtime").ProvidedWorker
    original = worker._pump_output
    worker._pump_output = lambda self, stream, lines: original(self, Tapped(stream), lines)


def _faults() -> None:
    async def handle(original: Any, method: str, path: str, headers: Any, body: bytes, params: Any) -> Any:
        key = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        role, name = _session(key[1] if key else "") or ("", record.TRYING)
        # What `metrics` publishes in its minute would be looked at later on.
        met = name != record.TRYING and "MetricsRole" not in role
        return await faults.answer(
            original, met=met, method=method, path=path, headers=headers, body=body, params=params
        )

    _wrap("services.dynamodb", "_emit_stream_event", faults.remember)
    _wrap("services.dynamodb", "handle_request", handle)


SHIMS = {
    "leading keys, and a record of all decisions": Shim(
        "dynamodb:LeadingKeys has no value, so that every condition on it is met",
        lambda: '"dynamodb:LeadingKeys"' not in _source("core.iam_actions"),
        _leading_keys,
    ),
    "policies of tables": Shim(
        "PutResourcePolicy stores them, and nothing reads them",
        lambda: '"dynamodb": (' not in _source("core.iam_evaluator"),
        _table_policies,
    ),
    "namespaces of metrics": Shim(
        "cloudwatch:namespace has no value, so that no condition on it is met",
        lambda: "cloudwatch:namespace" not in (_source("core.iam_actions") + _source("app")).lower(),
        _namespaces,
    ),
    "actions of batches, of PartiQL and of CloudWatch, log streams": Shim(
        "SendMessageBatch and ExecuteStatement are decided as actions of these names, which IAM does not have, "
        "CloudWatch's operations in CBOR are not decided at all, and calls about a log stream by its group",
        lambda: not any(name in _source("core.iam_actions") for name in ("PartiQL", "/operation/", "logStreamName")),
        _actions,
    ),
    "pollers use their function's role": Shim(
        "queues and streams are read without asking anybody",
        lambda: '"sqs:ReceiveMessage"' not in _source("services.lambda_svc"),
        _pollers,
    ),
    "state machines use their role": Shim(
        "functions are invoked without asking anybody",
        lambda: "lambda:InvokeFunction" not in _source("services.stepfunctions"),
        _machines,
    ),
    "services need a function's permission": Shim(
        "the HTTP API and rules invoke functions whose policy does not let them",
        lambda: "function_policy_for_arn" not in _source("services.apigateway") + _source("services.eventbridge"),
        _invokers,
    ),
    "log lines are written with the function's role": Shim(
        "they are written without asking anybody",
        lambda: "logs:PutLogEvents" not in _source("services.lambda_svc"),
        _logs,
    ),
    "embedded metrics": Shim(
        "metrics in log lines (CloudWatch's embedded metric format) stay text",
        lambda: "CloudWatchMetrics" not in _source("services.cloudwatch_logs") + _source("services.lambda_svc"),
        _embedded_metrics,
    ),
    "faults of the store": Shim(
        "it never conflicts, throttles, delays, hands back or is behind: see faults.py",
        lambda: "TransactionConflict" not in _source("services.dynamodb"),
        _faults,
    ),
}


def install() -> None:
    """Makes all changes of the emulator, in its process.

    Raises:
        SystemExit: If one of them is not needed any more.
    """
    useless = [name for name, shim in SHIMS.items() if not shim.needed()]
    if useless:
        raise SystemExit("\n".join(f"adaptations.py, SHIMS: not needed any more: {name}" for name in useless))
    for shim in SHIMS.values():
        shim.install()
