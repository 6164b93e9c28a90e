"""An operator: a user of the account with what infra/rights.toml says that the command line tools need, and no more."""

import json
from typing import Any

import permissions

import record
from account import Account
from policies import REGION_AND_ACCOUNT, Policies
from stack import expanded

NAME = "operator"


def _resource(policies: Policies, place: str) -> str:
    match place:
        case "projections":
            return f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/torale-projections-*"
        case "copies":
            return f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/torale-*-restored"
        case "*":
            return "*"
    return policies.arn(place)


def policy() -> dict[str, Any]:
    """The row `Operator` of the table as a policy: a statement for each place with its keys."""
    policies, statements = Policies(expanded()["Resources"]), dict[str, dict[str, Any]]()
    for where, action in sorted(
        permissions.transacted("Operator", permissions.allowed(permissions.RIGHTS["people"]["Operator"]))
    ):
        statement = statements.setdefault(where, {"Effect": "Allow", "Action": []})
        statement["Action"].append(action)
        place, _, keys = where.partition("[")
        own, _, among = keys.partition("] among [")
        statement["Resource"] = _resource(policies, place)
        named = (among or own).removesuffix("]").split()
        if named:
            statement["Condition"] = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": named}}
        if among:
            statement["Condition"]["ForAnyValue:StringLike"] = {"dynamodb:LeadingKeys": own.split()}
    return {"Version": "2012-10-17", "Statement": list(statements.values())}


def create(account: Account) -> dict[str, str]:
    """Creates the user; gives their credentials as the environment of the tools. Another user with the same rights is
    the check's own, for calls that say nothing about what is used.
    """
    iam = account.client("iam")
    arn = iam.create_policy(PolicyName=NAME, PolicyDocument=json.dumps(policy()))["Policy"]["Arn"]
    keys = {}
    for name in (NAME, record.TRYING):
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
        keys[name] = iam.create_access_key(UserName=name)["AccessKey"]
    account.people["Operator"] = keys[record.TRYING]
    return {
        "AWS_ACCESS_KEY_ID": keys[NAME]["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys[NAME]["SecretAccessKey"],
    }
