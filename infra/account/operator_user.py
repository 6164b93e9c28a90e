"""An operator: a user of the account with what infra/rights.toml says that the command line tools need, and no more."""

import json
from typing import Any

import permissions

from account import Account
from policies import ACCOUNT, Policies
from stack import expanded

NAME = "operator"


def _resource(policies: Policies, place: str) -> str:
    match place:
        case "projections":
            return f"arn:aws:dynamodb:{ACCOUNT}:table/torale-projections-*"
        case "copies":
            return f"arn:aws:dynamodb:{ACCOUNT}:table/torale-*-restored"
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
    """Creates the user; gives its credentials as the environment of the tools."""
    iam = account.client("iam")
    iam.create_user(UserName=NAME)
    arn = iam.create_policy(PolicyName=NAME, PolicyDocument=json.dumps(policy()))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=NAME, PolicyArn=arn)
    key = iam.create_access_key(UserName=NAME)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
