"""Calls to the deployed account with the credentials of every role and of the operator: what infra/rights.toml does
not grant is refused, and what it grants is not.

Writes carry a condition that nothing meets, so that a call that is allowed changes nothing.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import botocore.exceptions

import emulator
import matrix
import outages
import record
import used
from account import Account, until
from stack import FORWARDED_TO

# What a call answers that is not refused, and that does nothing.
ALLOWED = {
    "",
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "ReceiptHandleIsInvalid",
    "ResourceNotFoundException",
}
REFUSED = {"AccessDeniedException", "AccessDenied"}
# Within which the schedule's next minute comes.
SECONDS = 100
CONDITION = {
    "ConditionExpression": "attribute_exists(#n)",
    "ExpressionAttributeNames": {"#n": "nothing has this attribute"},
}
TABLES = {
    "ControlTable": "torale-control",
    "AuditTable": "torale-audit",
    "EventsTable": "torale-events",
    "AuditIndexTable": "torale-audit-index",
    "QuarantineTable": "torale-quarantine",
    "projections": "torale-projections-g1",
}
Calling = tuple[str, str, str, Callable[[], Any]]


def _item_calls(dynamodb: Any, place: str, pk: str) -> Iterator[Calling]:
    table, key = TABLES[place], {"pk": {"S": pk}, "sk": {"S": "nothing is here"}}
    yield "GetItem", place, pk, partial(dynamodb.get_item, TableName=table, Key=key)
    yield "PutItem", place, pk, partial(dynamodb.put_item, TableName=table, Item=key, **CONDITION)
    yield "UpdateItem", place, pk, partial(dynamodb.update_item, TableName=table, Key=key, **CONDITION)
    yield "DeleteItem", place, pk, partial(dynamodb.delete_item, TableName=table, Key=key, **CONDITION)
    check = {"ConditionCheck": {"TableName": table, "Key": key, **CONDITION}}
    yield "ConditionCheckItem", place, pk, partial(dynamodb.transact_write_items, TransactItems=[check])


def _batch_calls(dynamodb: Any, place: str, pk: str) -> Iterator[Calling]:
    """Those that have no condition: only for tables that nobody may write to in this way."""
    table, key = TABLES[place], {"pk": {"S": pk}, "sk": {"S": "nothing is here"}}
    for write in ({"PutRequest": {"Item": key}}, {"DeleteRequest": {"Key": key}}):
        yield "BatchWriteItem", place, pk, partial(dynamodb.batch_write_item, RequestItems={table: [write]})
    where = f"WHERE pk='{pk}' AND sk='nothing is here'"
    for action, text in {
        "PartiQLInsert": f"INSERT INTO \"{table}\" VALUE {{'pk': '{pk}', 'sk': 'nothing is here'}}",
        "PartiQLUpdate": f'UPDATE "{table}" SET a=1 {where}',  # noqa: S608
        "PartiQLDelete": f'DELETE FROM "{table}" {where}',  # noqa: S608
    }.items():
        yield action, place, pk, partial(dynamodb.execute_statement, Statement=text)


def _queue_calls(account: Account, who: str, place: str) -> Iterator[Calling]:
    """Calls that a queue refuses for their parameters, if permissions let them through."""
    sqs = account.client("sqs", who)
    if place in account.resources:
        url = account.physical(place)
    else:
        url = account.client("sqs").get_queue_url(QueueName=FORWARDED_TO)["QueueUrl"]
    yield "sqs:SendMessage", place, "", partial(sqs.send_message, QueueUrl=url, MessageBody="\x01")
    yield "sqs:ReceiveMessage", place, "", partial(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)
    yield "sqs:DeleteMessage", place, "", partial(sqs.delete_message, QueueUrl=url, ReceiptHandle="none")
    yield "sqs:GetQueueAttributes", place, "", partial(sqs.get_queue_attributes, QueueUrl=url)


def _other_calls(account: Account, who: str) -> Iterator[Calling]:
    """The sealing key, functions, logs and metrics."""
    kms, key = account.client("kms", who), account.outputs["AuditKeyId"]
    signing = {"KeyId": key, "Message": b"forged", "SigningAlgorithm": "ED25519_SHA_512", "MessageType": "RAW"}
    yield "kms:Sign", "AuditKey", "", partial(kms.sign, **signing)
    yield "kms:GetPublicKey", "AuditKey", "", partial(kms.get_public_key, KeyId=key)
    for function in ("Replay", "AuditSeal", "DeactivateUser"):
        invoke = partial(account.client("lambda", who).invoke, InvocationType="DryRun")
        yield "lambda:InvokeFunction", function, "", partial(invoke, FunctionName=account.physical(function))
    for group in matrix.LOGS:
        put, event = account.client("logs", who).put_log_events, {"timestamp": 0, "message": "forged"}
        named = {"logGroupName": account.physical(group), "logStreamName": "none"}
        yield "logs:PutLogEvents", group, "", partial(put, **named, logEvents=[event])
    for namespace in ("Torale/Admin", "Torale/Other"):
        put = account.client("cloudwatch", who).put_metric_data
        yield "cloudwatch:PutMetricData", "*", namespace, partial(put, Namespace=namespace, MetricData=[])


def _calls(account: Account, role: str) -> Iterator[Calling]:
    who = role if role in account.people else f"{role}Role"
    dynamodb = account.client("dynamodb", who)
    for place, keys in matrix.PARTITIONS.items():
        for pk in keys:
            yield from _item_calls(dynamodb, place, pk)
    for place in ("EventsTable", "AuditTable"):
        yield from _batch_calls(dynamodb, place, matrix.PARTITIONS[place][0])
    yield from _other_calls(account, who)
    for place in matrix.QUEUES:
        yield from _queue_calls(account, who, place)


def _error(call: Callable[[], Any]) -> str:
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def _of_role(account: Account, role: str) -> tuple[int, list[str]]:
    rights, found, number = used.rights(role), [], 0
    for name, place, key, call in _calls(account, role):
        action = name if ":" in name else f"dynamodb:{name}"
        should = matrix.granted(rights, matrix.Call(action, place, "", key))
        error, number = _error(call), number + 1
        if error not in (ALLOWED if should else REFUSED):
            expected = "allowed" if should else "refused"
            found.append(f"{role}: {action} on {place}[{key}] should be {expected}, and answered {error!r}")
    return number, found


def findings(account: Account) -> tuple[int, list[str]]:
    """The number of calls, and those that were decided otherwise than they should be."""
    with ThreadPoolExecutor(2) as workers:
        results = list(workers.map(lambda role: _of_role(account, role), [*used.ROLES, *account.people]))
    return sum(number for number, _ in results), [each for _, found in results for each in found]


def foreign(account: Account) -> list[str]:
    """A function that another API or another rule invokes does not run."""
    api, lambdas = account.client("apigatewayv2"), account.client("lambda")
    other = api.create_api(Name="other", ProtocolType="HTTP")["ApiId"]
    function = lambdas.get_function(FunctionName=account.physical("OpenApi"))["Configuration"]["FunctionArn"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    integration = api.create_integration(
        ApiId=other, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    api.create_route(ApiId=other, RouteKey="GET /admin/openapi.json", Target=f"integrations/{integration}")
    api.create_stage(ApiId=other, StageName="$default", AutoDeploy=True)
    source = f"arn:aws:execute-api:{emulator.REGION}:{emulator.ACCOUNT}:{other}/$default/GET/admin/openapi.json"
    with outages.expected("apigateway.amazonaws.com", "lambda:InvokeFunction", source):
        own, foreign = (account.request("GET", "/admin/openapi.json", api=name)[0] for name in ("", other))
    api.delete_api(ApiId=other)
    by_api = [] if (own, foreign) == (200, 500) else [f"the own API answers {own}, another {foreign}"]
    return by_api + _foreign_rule(account)


def _foreign_rule(account: Account) -> list[str]:
    """A rule that is not of the stack, about an event that happens, is refused a function that a rule of the stack
    invokes.
    """
    events, lambdas = account.client("events"), account.client("lambda")
    function = lambdas.get_function(FunctionName=account.physical("Metrics"))["Configuration"]["FunctionArn"]
    arn = events.describe_rule(Name=account.physical("MetricsEveryMinute"))["Arn"]
    other = events.put_rule(Name="other", EventPattern=json.dumps({"source": ["other"]}))["RuleArn"]
    events.put_targets(Rule="other", Targets=[{"Id": "function", "Arn": function}])

    def decided(rule: str) -> set[bool]:
        entries = record.read(account.folder / "record.ndjson")
        asked = [e for e in entries if (e["role"], e["resource"]) == ("events.amazonaws.com", function)]
        return {entry["denied"] for entry in asked if entry["session"] == rule}

    with outages.expected("events.amazonaws.com", "lambda:InvokeFunction", other):
        events.put_events(Entries=[{"Source": "other", "DetailType": "other", "Detail": "{}"}])
        found = {rule: until(f"{rule} has an event", partial(decided, rule), SECONDS) for rule in (other, arn)}
    events.remove_targets(Rule="other", Ids=["function"])
    events.delete_rule(Name="other")
    return [] if found == {other: {True}, arn: {False}} else [f"refused to rules, theirs and another: {found}"]
