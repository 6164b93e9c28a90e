"""The end of the stack: what remains is what docs/operations.md says; without that the stack can be created anew."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import operator_user
import stack
import story
from account import ROOT, STACK, Account, expect, until
from machinery import Tools
from story import UNAUTHORIZED, equal

# What another generation than the stack's own is called here: see machinery.operate.
GENERATION = "torale-projections-g3"
USERS, RECORDS = "/admin/users?limit=100", "/admin/audit?action=users.reactivate&limit=100"


def _section() -> str:
    """The section of docs/operations.md about what remains."""
    return (ROOT / "docs/operations.md").read_text().partition("### After sam delete\n")[2].partition("\n## ")[0]


def documented_remains() -> set[str]:
    """The tables and logs that remain after the deletion of the stack, as docs/operations.md lists them."""
    return set(re.findall(r"`([/\w-]+)`", _section().strip().partition("\n\n")[0]))


@dataclass(frozen=True)
class Deletions:
    """The names in the commands of that section that begin from nothing, but for generations."""

    unprotected: list[str]
    tables: list[str]
    logs: list[str]


def documented_deletions() -> Deletions:
    """What these commands do, loop by loop.

    Raises:
        Wrong: If there are other loops.
    """
    commands = _section().partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    loops = re.findall(r"for table in ([^;]+);.*?aws dynamodb ([\w-]+).*?\ndone", commands, re.DOTALL)
    equal("the loops that begin from nothing", [command for _, command in loops], ["update-table", "delete-table"])
    unprotected, tables = (names.split("$")[0].split() for names, _ in loops)
    return Deletions(unprotected, tables, re.findall(r"--log-group-name (\S+)", commands))


def _lists(account: Account) -> dict[str, Callable[[], Iterable[Any]]]:
    """What nothing may be left of, by name: everything in the account that this check has not made by itself."""
    cloudwatch, iam = account.client("cloudwatch"), account.client("iam")
    named, of_lambda = {operator_user.NAME, "alarm-mail", stack.FORWARDED_TO}, account.client("lambda")
    return {
        "functions": lambda: of_lambda.list_functions()["Functions"],
        "event source mappings": lambda: of_lambda.list_event_source_mappings()["EventSourceMappings"],
        "roles": lambda: [role["RoleName"] for role in iam.list_roles()["Roles"] if STACK in role["RoleName"]],
        "policies": lambda: {each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]} - named,
        "queues": lambda: (
            {url.rpartition("/")[2] for url in account.client("sqs").list_queues().get("QueueUrls", [])} - named
        ),
        "alarms": lambda: cloudwatch.describe_alarms()["MetricAlarms"],
        "dashboards": lambda: cloudwatch.list_dashboards()["DashboardEntries"],
        "rules": lambda: account.client("events").list_rules()["Rules"],
        "APIs": lambda: account.client("apigatewayv2").get_apis()["Items"],
        "topics": lambda: account.client("sns").list_topics()["Topics"],
        "state machines": lambda: account.client("stepfunctions").list_state_machines()["stateMachines"],
    }


def _kept(account: Account) -> set[str]:
    """The tables and logs of this system that exist."""
    tables = set(account.client("dynamodb").list_tables()["TableNames"])
    logs = {group["logGroupName"] for group in account.client("logs").describe_log_groups()["logGroups"]}
    return tables | {log for log in logs if log.startswith("/torale")}


def deleted(account: Account) -> None:
    """What remains after the deletion of the stack is what docs/operations.md says; the sealing key is usable."""
    lists = _lists(account)
    for what, found in lists.items():
        # Else nothing could be seen to go.
        expect(found(), f"the stack has no {what}")
    key, cloudformation = account.outputs["AuditKeyId"], account.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)

    def gone() -> bool:
        try:
            return str(cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]) == "DELETE_COMPLETE"
        except cloudformation.exceptions.ClientError as error:
            return "does not exist" in str(error)

    until("the stack is gone", gone)
    # Generations that were built later are no part of the stack.
    equal("what remains", _kept(account), documented_remains() | {GENERATION})
    equal("the sealing key", account.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Enabled")
    equal("what else remains", {what: list(found()) for what, found in lists.items() if found()}, {})


def _documented_import() -> list[dict[str, Any]]:
    """The resources that the command of that section takes into a new stack."""
    found: list[dict[str, Any]] = json.loads(_section().partition("--resources-to-import '")[2].partition("'")[0])
    return found


def references(value: Any) -> set[str]:
    """The names that a part of a template refers to; in texts, without CloudFormation's pseudo parameters."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": text}:
            return {name for name in re.findall(r"\$\{([\w:.]+)\}", str(text)) if not name.startswith("AWS::")}
        case dict():
            return {name for each in value.values() for name in references(each)}
        case list():
            return {name for each in value for name in references(each)}
    return set()


def served(account: Account) -> dict[str, Any]:
    """What a stack serves that the next one must serve, too."""
    return {path: story.answer(account, path) for path in (USERS, RECORDS)}


def _import_template(taken: list[dict[str, Any]]) -> dict[str, Any]:
    """The template that the section describes: parts of the real one, with the parameter that they need."""
    whole, parameter = stack.whole(), _section().partition("its parameter `")[2].partition("`")[0]
    resources = {each["LogicalResourceId"]: whole["Resources"][each["LogicalResourceId"]] for each in taken}
    equal("what the resources that are taken in refer to", references(resources), {parameter})
    return {"Parameters": {parameter: whole["Parameters"][parameter]}, "Resources": resources}


def gone_back(account: Account, tools: Tools, of: dict[str, Any], clerk: str, before: dict[str, Any]) -> None:
    """What remains is taken into a new stack as docs/operations.md says, and serves what the former one served."""
    taken, cloudformation = _documented_import(), account.client("cloudformation")
    equal(
        "what is taken in",
        {name for each in taken for name in each["ResourceIdentifier"].values()},
        documented_remains(),
    )
    cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="import",
        ChangeSetType="IMPORT",
        TemplateURL=stack.put(account, _import_template(taken), "import.json"),
        ResourcesToImport=taken,
    )

    def made() -> bool:
        found = cloudformation.describe_change_set(StackName=STACK, ChangeSetName="import")
        expect(found["Status"] != "FAILED", f"the change set: {found.get('StatusReason')}")
        return bool(found["Status"] == "CREATE_COMPLETE")

    until("the change set is made", made)
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="import")
    stack.wait(account, STACK, "IMPORT_COMPLETE")
    stack.update(account, of, clerk)
    account.forget()
    status, text = tools.run("audit-verify", "reindex")
    expect(status == 0, f"audit-verify reindex: {status} {text}")
    # Another generation than the stack's own is live, so there is nothing to rebuild.
    after = served(account)
    equal("the users", after[USERS], before[USERS])
    # What was not sealed before may be by now.
    missing = [each for each in before[RECORDS]["records"] if each not in after[RECORDS]["records"]]
    expect(before[RECORDS]["records"], "the audit trail had no records to compare")
    equal("records of the audit trail that are gone", missing, [])


def _protected(dynamodb: Any, table: str) -> bool:
    return bool(dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"])


def begun_again(account: Account, of: dict[str, Any], clerk: str) -> None:
    """After what remains is deleted as docs/operations.md says, no name is taken, and the stack is created once more
    and serves. That its creation is refused otherwise, the emulator does not show: see differences.py.
    """
    deletions, remains = documented_deletions(), documented_remains()
    equal("what the commands of docs/operations.md delete", {*deletions.tables, *deletions.logs}, remains)
    dynamodb, logs = account.client("dynamodb"), account.client("logs")
    for name in deletions.unprotected:
        equal(f"protection of {name}", _protected(dynamodb, name), True)
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    # The emulator, too, refuses to delete a table that is still protected.
    for name in [*deletions.tables, GENERATION]:
        dynamodb.delete_table(TableName=name)
    for name in deletions.logs:
        logs.delete_log_group(logGroupName=name)
    equal("what is left to begin from", _kept(account), set())
    account.forget()
    stack.create(account, of, clerk)
    status, _ = account.request("GET", "/admin/stats")
    equal("a request to the new stack, without a key", status, UNAUTHORIZED)
