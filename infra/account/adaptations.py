"""What the emulator does otherwise than AWS, with the reason.

| list | what it holds |
|---|---|
| `TEMPLATE` in `adapted_template.py` | changes of the expanded template before it is deployed |
| `SHIMS` | changes of the emulator (`emulator.py` installs them in its process) |
| `DIFFERENCES` in `differences.py` | what stays otherwise: the check asserts nothing that would need it |

Each entry can find out whether it is still true; the check fails as soon as one is not, so that it is removed. The
version of the emulator is pinned in `pyproject.toml`: the shims reach into its modules.

Besides, the check itself does not wait where only time would pass, and leaves out what it has no partner for:

| where | what |
|---|---|
| `stack.WITHOUT` | functions that read the platform's PostgreSQL and Temporal are not deployed; `matrix.py` has them |
| `emulator.WAITING` | the state machine waits for a fiftieth of its time, unless `--unhurried` |
| `machinery.rebuild` | the beginning of a promotion is put back by two minutes, unless `--unhurried` |
| `under_faults.soon_again` | messages that were handed back come again after ten seconds |
| `machinery.age` | the log is made an hour older, so that a rebuild has whole hours |
| `story.waiting`, `machinery.metrics` | a schedule's next minute is not waited for: its job is invoked |
"""

import contextvars
import functools
import importlib
import inspect
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faults
import readings
import record

# What changes of the emulator. This runs in its process; its modules are imported where they are used, since the check
# itself does not load them.


@dataclass(frozen=True)
class Shim:
    """A change of the emulator, which `needed` examines before it is made."""

    reason: str
    needed: Callable[[], bool]
    install: Callable[[], None]


# The items of the request that is being decided, for `dynamodb:LeadingKeys`: see readings.py.
ITEMS = "torale:Items"
# What the transaction does that a decision belongs to, for the record.
SHAPE = "torale:Shape"
# The role of the state machine that runs in this thread.
_MACHINE: contextvars.ContextVar[str] = contextvars.ContextVar("machine", default="")
SQS_BATCHES = ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
OPERATION = re.compile(r"/operation/(\w+)$")
PROBE_PATH = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
PROBE_STATEMENT = 'SELECT * FROM "probe"'
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


def _caller(access_key: str) -> list[str]:
    """Name and session of whose key it is: a role's, or a user's, whose session has their name; nothing if root's."""
    iam = importlib.import_module("ministack.services.iam")
    user = iam._access_keys.get(access_key, {}).get("UserName", "")
    return [user, user] if user else _session(access_key)


def _note(caller: list[str], action: str, resource: str, context: dict[str, Any], *, denied: bool) -> None:
    if caller:
        keys, shape = context.get("dynamodb:LeadingKeys", []), context.get(SHAPE, [])
        asked = {name: context.get(key, "") for name, key in CONTEXT.items()}
        entry = {"role": caller[0], "session": caller[1], "action": action, "resource": resource, "keys": keys}
        record.write(entry | asked | {"denied": denied, "at": time.time(), "transaction": shape})


CONTEXT = {"select": "dynamodb:Select", "namespace": "cloudwatch:namespace"}


def _enforce(original: Any, key: str, action: str, service: str, region: str, resource_arn: str = "*",
             service_context: dict[str, Any] | None = None) -> Any:  # fmt: skip
    context = dict(service_context or {})
    of, table = context.pop(ITEMS, []), resource_arn.rsplit(":table/", maxsplit=1)[-1]
    if not of and action in readings.KEYED:
        # Without keys every condition on them would be met.
        decided, own = [[record.NOT_UNDERSTOOD]], [record.NOT_UNDERSTOOD]
    else:
        decided, own = readings.decisions(of, action, table), readings.own_keys(of, action, table)
    contexts = [context | {"dynamodb:LeadingKeys": keys} for keys in decided] or [context]
    denied = None
    for each in contexts:
        if denied := original(key, action, service, region, resource_arn=resource_arn, service_context=each):
            break
    # The keys that this action is for; those of a transaction's other actions are noted with these.
    noted = context | {"dynamodb:LeadingKeys": own, SHAPE: readings.shape(of)}
    _note(_caller(key), action, resource_arn, noted, denied=bool(denied))
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


def _access_key(headers: Any) -> str:
    found = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
    return found[1] if found else ""


def _unknown_actions() -> None:
    def action(original: Any, service: str, method: str, path: str, headers: Any, *rest: Any) -> str | None:
        found: str | None = original(service, method, path, headers, *rest)
        if found is None:
            # Then nothing is decided about the call.
            _note(_caller(_access_key(headers)), record.NOT_UNDERSTOOD, f"{service} {path}", {}, denied=False)
        return found

    _wrap("core.iam_actions", "extract_iam_action", action)


def _operations() -> None:
    def action(original: Any, service: str, method: str, path: str, *rest: Any) -> str | None:
        operation = OPERATION.search(path) if service == "monitoring" else None
        found: str | None = f"cloudwatch:{operation[1]}" if operation else original(service, method, path, *rest)
        return found

    def resource(original: Any, service: str, method: str, path: str, *rest: Any) -> str:
        of_cloudwatch = service == "monitoring" and OPERATION.search(path)
        return "*" if of_cloudwatch else str(original(service, method, path, *rest))

    _wrap("core.iam_actions", "extract_iam_action", action)
    _wrap("core.iam_actions", "extract_resource_arn", resource)


def _batches() -> None:
    def action(original: Any, *request: Any) -> str | None:
        found: str | None = original(*request)
        return found.removesuffix("Batch") if found in {f"sqs:{name}Batch" for name in SQS_BATCHES} else found

    _wrap("core.iam_actions", "extract_iam_action", action)


def _statement(body: bytes) -> re.Match[str] | None:
    request = json.loads(body)
    several = request.get("Statements") or request.get("TransactStatements") or [request]
    return PARTIQL.match(several[0].get("Statement", ""))


def _partiql() -> None:
    def action(
        original: Any, service: str, method: str, path: str, headers: Any, body: bytes, params: Any
    ) -> str | None:
        found: str | None = original(service, method, path, headers, body, params)
        if found and found.startswith("dynamodb:") and found.endswith(("ExecuteStatement", "ExecuteTransaction")):
            parsed = _statement(body)
            return f"dynamodb:PartiQL{parsed[1].capitalize()}" if parsed else found
        return found

    def resource(original: Any, service: str, method: str, path: str, headers: Any, body: bytes, params: Any,
                 region: str, account: str) -> str:  # fmt: skip
        if service == "dynamodb" and b"Statement" in body and (parsed := _statement(body)):
            return f"arn:aws:dynamodb:{region}:{account}:table/{parsed[2]}"
        return str(original(service, method, path, headers, body, params, region, account))

    _wrap("core.iam_actions", "extract_iam_action", action)
    _wrap("core.iam_actions", "extract_resource_arn", resource)


def _log_streams() -> None:
    def resource(original: Any, service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        found = str(original(service, method, path, headers, body, *rest))
        stream = json.loads(body).get("logStreamName") if service == "logs" and body else None
        return f"{found}:log-stream:{stream}" if stream else found

    _wrap("core.iam_actions", "extract_resource_arn", resource)


def _action_of(service: str, path: str, target: str, body: dict[str, Any]) -> str | None:
    """As which action the emulator decides a call."""
    module, headers = importlib.import_module("ministack.core.iam_actions"), {"x-amz-target": target}
    found: str | None = module.extract_iam_action(service, "POST", path, headers, json.dumps(body).encode(), {})
    return found


def _resource_of(service: str, target: str, body: dict[str, Any]) -> str:
    """About which resource the emulator decides a call."""
    module, headers = importlib.import_module("ministack.core.iam_actions"), {"x-amz-target": target}
    content = json.dumps(body).encode()
    return str(module.extract_resource_arn(service, "POST", "/", headers, content, {}, "us-east-1", "000000000000"))


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


def _routes() -> None:
    async def request(original: Any, integration: Any, api: str, stage: str, path: str, method: str, *rest: Any,
                      **more: Any) -> Any:  # fmt: skip
        function = integration["integrationUri"].split("/functions/")[1].removesuffix("/invocations")
        account, region = function.split(":")[4], function.split(":")[3]
        source = f"arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}{path}"
        if not _service_may("apigateway.amazonaws.com", function, source):
            return 500, {"Content-Type": "application/json"}, b'{"message": "Internal Server Error"}'
        return await original(integration, api, stage, path, method, *rest, **more)

    _wrap("services.apigateway", "_invoke_lambda_proxy", request)


def _rules() -> None:
    def rule(original: Any, target: dict[str, Any], event: Any, of: dict[str, Any], *rest: Any) -> Any:
        allowed = _service_may("events.amazonaws.com", target["Arn"], of["Arn"])
        return original(target, event, of, *rest) if allowed else None

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
        session = _session(_access_key(headers))
        role, name = session or ("", record.TRYING)
        # What `metrics` publishes in its minute would be looked at later on.
        met = name != record.TRYING and "MetricsRole" not in role
        return await faults.answer(
            original, met=met, method=method, path=path, headers=headers, body=body, params=params
        )

    _wrap("services.dynamodb", "_emit_stream_event", faults.remember)
    _wrap("services.dynamodb", "handle_request", handle)


def _context(body: dict[str, Any]) -> dict[str, Any]:
    """The values of condition keys that the emulator finds in a request to DynamoDB."""
    module = importlib.import_module("ministack.core.iam_actions")
    found: dict[str, Any] = module.dynamodb_service_context(json.dumps(body).encode())
    return found


def _knows_namespaces() -> bool:
    module, parameters = importlib.import_module("ministack.core.iam_actions"), {"Namespace": "Probe"}
    found = module.request_tag_context("monitoring", "cloudwatch:PutMetricData", b"", parameters)
    return "cloudwatch:namespace" in {key.lower() for key in found} or "cloudwatch:namespace" in _source("app").lower()


# The order matters where two change the same function: an action that is known to none of them is noted.
SHIMS = {
    "leading keys, and a record of all decisions": Shim(
        "dynamodb:LeadingKeys has no value, so that every condition on it is met",
        lambda: "dynamodb:LeadingKeys" not in _context({"TableName": "t", "Key": {"pk": {"S": "a"}}}),
        _leading_keys,
    ),
    "policies of tables": Shim(
        "PutResourcePolicy stores them, and nothing reads them",
        lambda: "dynamodb" not in importlib.import_module("ministack.core.iam_evaluator")._RESOURCE_POLICY_LOOKUPS,
        _table_policies,
    ),
    "namespaces of metrics": Shim(
        "cloudwatch:namespace has no value, so that no condition on it is met",
        lambda: not _knows_namespaces(),
        _namespaces,
    ),
    "actions of CloudWatch": Shim(
        "CloudWatch's operations in CBOR are not decided at all",
        lambda: _action_of("monitoring", PROBE_PATH, "", {}) is None,
        _operations,
    ),
    "actions of batches of messages": Shim(
        "SendMessageBatch and its like are decided as actions of these names, which IAM does not have",
        lambda: str(_action_of("sqs", "/", "AmazonSQS.SendMessageBatch", {})).endswith("Batch"),
        _batches,
    ),
    "actions and tables of PartiQL": Shim(
        "ExecuteStatement is decided as an action of this name, which IAM does not have",
        lambda: (
            _action_of("dynamodb", "/", "DynamoDB_20120810.ExecuteStatement", {"Statement": PROBE_STATEMENT})
            == "dynamodb:ExecuteStatement"
        ),
        _partiql,
    ),
    "log streams": Shim(
        "calls about a log stream are decided by its group",
        lambda: (
            "log-stream"
            not in _resource_of("logs", "Logs_20140328.PutLogEvents", {"logGroupName": "g", "logStreamName": "s"})
        ),
        _log_streams,
    ),
    "a record of what is not decided": Shim(
        "a call in which the emulator finds no action is let through",
        lambda: "could not extract action" in _source("core.iam_actions"),
        _unknown_actions,
    ),
    "pollers use their function's role": Shim(
        "queues and streams are read without asking anybody. The actions are those that Lambda's documentation lists",
        lambda: '"sqs:ReceiveMessage"' not in _source("services.lambda_svc"),
        _pollers,
    ),
    "state machines use their role": Shim(
        "functions are invoked without asking anybody",
        lambda: "lambda:InvokeFunction" not in _source("services.stepfunctions"),
        _machines,
    ),
    "the HTTP API needs a function's permission": Shim(
        "it invokes functions whose policy does not let it",
        lambda: "function_policy_for_arn" not in _source("services.apigateway"),
        _routes,
    ),
    "rules need a function's permission": Shim(
        "they invoke functions whose policy does not let them",
        lambda: "function_policy_for_arn" not in _source("services.eventbridge"),
        _rules,
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
