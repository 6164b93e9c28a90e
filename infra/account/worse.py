"""Deliberate changes for the worse of every policy of the template, each of which matrix.py must notice."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import permissions

import matrix

Resources = dict[str, Any]
Worsen = Callable[[dict[str, Any]], object]
several = permissions.several


def _documents(resources: Resources) -> Iterator[tuple[str, list[str], Any]]:
    """Name, roles (as the table names them) and document of each policy of an identity."""
    roles = {name: of["Properties"] for name, of in resources.items() if of["Type"] == "AWS::IAM::Role"}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            having = [role for role, of in roles.items() if {"Ref": name} in of.get("ManagedPolicyArns", [])]
            yield name, having, resource["Properties"]["PolicyDocument"]
    for role, properties in roles.items():
        for policy in properties.get("Policies", []):
            yield role, [role], policy["PolicyDocument"]


def _without(values: Any, gone: str, otherwise: str) -> list[str]:
    """Values without one of them; something that fits nothing if no other is left."""
    return [each for each in several(values) if each != gone] or [otherwise]


def _any_value(statement: dict[str, Any], operator: str, name: str) -> None:
    like = operator.replace("StringEquals", "StringLike")
    del statement["Condition"][operator]
    statement["Condition"][like] = {name: ["*"]}


def _no_value(statement: dict[str, Any], operator: str, name: str, gone: str) -> None:
    asked = statement["Condition"][operator]
    asked[name] = _without(asked[name], gone, "nothing")


def _of_statement(statement: dict[str, Any]) -> Iterator[tuple[str, Worsen]]:
    """Changes of one statement, with their names."""
    actions = several(statement["Action"])
    service = actions[0].split(":")[0]
    yield "any resource", lambda of: of.update(Resource="*")
    yield "any action", lambda of: of.update(Action=[*actions, f"{service}:*"])
    for action in actions:
        rest = _without(actions, action, "none:None")
        yield f"no {action}", functools.partial(_set_actions, actions=rest)
    if "Condition" in statement:
        yield "no condition", lambda of: of.pop("Condition")
    for operator, asked in statement.get("Condition", {}).items():
        for name, values in asked.items():
            yield f"any {name} by {operator}", functools.partial(_any_value, operator=operator, name=name)
            for value in several(values):
                less = functools.partial(_no_value, operator=operator, name=name, gone=value)
                yield f"no {value} by {operator}", less


def _set_actions(statement: dict[str, Any], actions: list[str]) -> None:
    statement["Action"] = actions


def statements(resources: Resources) -> Iterator[tuple[str, str, str, Resources]]:
    """Every change of every statement: its name, a role that it concerns, the service, and the changed resources."""
    for name, roles, document in _documents(resources):
        for number, statement in enumerate(document["Statement"]):
            inner = statement["Fn::If"][1] if "Fn::If" in statement else statement
            for change, worsen in _of_statement(inner):
                worse = copy.deepcopy(resources)
                changed = next(each for one, _, each in _documents(worse) if one == name)["Statement"][number]
                changed = changed["Fn::If"][1] if "Fn::If" in changed else changed
                worsen(changed)
                if changed != inner:
                    service = several(inner["Action"])[0].split(":")[0]
                    yield f"{name}, statement {number}: {change}", roles[0].removesuffix("Role"), service, worse


def _deny(table: str, action: str) -> Callable[[Resources], object]:
    def worsen(resources: Resources) -> None:
        statement = resources[table]["Properties"]["ResourcePolicy"]["PolicyDocument"]["Statement"][0]
        statement["Action"].remove(f"dynamodb:{action}")

    return worsen


def _permission(name: str, **changed: Any) -> Callable[[Resources], object]:
    def worsen(resources: Resources) -> None:
        properties = resources[name]["Properties"]
        properties.update(changed)
        for key in [key for key, value in changed.items() if value is None]:
            del properties[key]

    return worsen


def _key(sid: str, **changed: Any) -> Callable[[Resources], object]:
    def worsen(resources: Resources) -> None:
        policy = resources["AuditKey"]["Properties"]["KeyPolicy"]["Statement"]
        next(each for each in policy if each["Sid"] == sid).update(changed)

    return worsen


ROOT_PRINCIPAL = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
OTHER_SERVICE = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def others(resources: Resources) -> Iterator[tuple[str, Resources]]:
    """Changes of policies that belong to tables, the key, functions and roles' trust."""
    changes: dict[str, Callable[[Resources], object]] = {
        f"{table} does not deny {action}": _deny(table, action)
        for table in ("EventsTable", "AuditTable")
        for action in matrix.CHANGES
    }
    changes |= {
        "the account may sign": _key("Seal", Principal=ROOT_PRINCIPAL),
        "an administrator may sign": _key("Manage", Action=["kms:*"]),
        "nobody may sign": _key("Seal", Action=["kms:GetPublicKey"]),
        "an endpoint for every API": _permission("StatsRoutePermission", SourceArn=None),
        "an endpoint for everybody": _permission("StatsRoutePermission", Principal="*"),
        "an endpoint for nobody": _permission("StatsRoutePermission", Principal="s3.amazonaws.com"),
        "a job for every rule": _permission("MetricsEveryMinutePermission", SourceArn=None),
        "a job for nobody": _permission("MetricsEveryMinutePermission", FunctionName={"Ref": "Stats"}),
        "a role for another service": lambda of: of["StatsRole"]["Properties"]["AssumeRolePolicyDocument"][
            "Statement"
        ].append(OTHER_SERVICE),
        "a table that anybody may change": lambda of: of["EventsTable"]["Properties"].pop("ResourcePolicy"),
    }
    for name, worsen in changes.items():
        worse = copy.deepcopy(resources)
        worsen(worse)
        yield name, worse


def findings(resources: Resources) -> tuple[int, list[str]]:
    """What is wrong with the policies as they are; else the number of changes that were tried, and those unnoticed."""
    tried, found = 0, matrix.findings(resources)
    if found:
        return tried, found
    for name, role, service, worse in statements(resources):
        tried += 1
        if next(matrix.of_roles(worse, [role], service), None) is None:
            found.append(f"not noticed: {name}")
    for name, worse in others(resources):
        tried += 1
        if not matrix.findings(worse, ["AuditSeal"]):
            found.append(f"not noticed: {name}")
    return tried, found
