"""Calls to the deployed account with the credentials of every role: what infra/rights.toml does not grant is refused,
and what it grants is not.

Writes carry a condition that nothing meets, so that a call that is allowed changes nothing.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import botocore.exceptions

import matrix
import used
from account import Account

# What a call answers that is not refused.
ALLOWED = {"", "ConditionalCheckFailedException", "TransactionCanceledException"}
REFUSED = {"AccessDeniedException", "AccessDenied"}
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


def _calls(account: Account, role: str) -> Iterator[Calling]:
    dynamodb = account.client("dynamodb", f"{role}Role")
    for place, keys in matrix.PARTITIONS.items():
        for pk in keys:
            yield from _item_calls(dynamodb, place, pk)
    for place in ("EventsTable", "AuditTable"):
        yield from _batch_calls(dynamodb, place, matrix.PARTITIONS[place][0])
    kms, key = account.client("kms", f"{role}Role"), account.outputs["AuditKeyId"]
    signing = {"KeyId": key, "Message": b"forged", "SigningAlgorithm": "ED25519_SHA_512", "MessageType": "RAW"}
    yield "kms:Sign", "AuditKey", "", partial(kms.sign, **signing)


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
        results = list(workers.map(lambda role: _of_role(account, role), used.ROLES))
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
    own, foreign = (account.request("GET", "/admin/openapi.json", api=name)[0] for name in ("", other))
    api.delete_api(ApiId=other)
    return [] if (own, foreign) == (200, 500) else [f"the own API answers {own}, another {foreign}"]
