"""The policies of an expanded template, decided by the emulator's evaluator: a second opinion to infra/lint, which
compares statements with infra/rights.toml and evaluates nothing.
"""

import json
import re
from typing import Any

from ministack.core import iam_evaluator as evaluator

import emulator
from stack import FORWARDED_TO

REGION_AND_ACCOUNT = f"{emulator.REGION}:{emulator.ACCOUNT}"
# Where a resource's ARN has its name.
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION_AND_ACCOUNT}:table/",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION_AND_ACCOUNT}:",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION_AND_ACCOUNT}:log-group:",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION_AND_ACCOUNT}:function:",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION_AND_ACCOUNT}:key/",
    "AWS::IAM::Role": f"arn:aws:iam::{emulator.ACCOUNT}:role/",
    "AWS::Events::Rule": f"arn:aws:events:{REGION_AND_ACCOUNT}:rule/",
}
NAMES = ("TableName", "QueueName", "LogGroupName")
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": emulator.REGION,
    "AWS::AccountId": emulator.ACCOUNT,
    "CommandsForwardQueue": FORWARDED_TO,
    "Api": "theapi",
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Policies:
    """All policies of a template; references are resolved to ARNs with logical ids as names."""

    def __init__(self, resources: dict[str, Any]) -> None:
        self.resources = resources
        self._parsed: dict[str, list[Any]] = {}

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a type, by name."""
        return {name: of["Properties"] for name, of in self.resources.items() if of["Type"] == kind}

    def arn(self, name: str) -> str:
        """The ARN of a resource, as policies name it."""
        resource = self.resources[name]
        properties = resource.get("Properties", {})
        known = next((properties[key] for key in NAMES if isinstance(properties.get(key), str)), name)
        return ARNS[resource["Type"]] + known + (":*" if resource["Type"] == "AWS::Logs::LogGroup" else "")

    def resolve(self, value: Any) -> Any:  # noqa: PLR0911
        """A value without CloudFormation's functions, with the forwarding queue."""
        match value:
            case {"Ref": "AWS::NoValue"}:
                return None
            case {"Ref": str(name)}:
                return PSEUDO.get(name, name)
            case {"Fn::GetAtt": [str(name), "Arn"]}:
                return self.arn(name)
            case {"Fn::If": [_, yes, _]}:
                return self.resolve(yes)
            case {"Fn::Sub": [str(text), dict(more)]}:
                return self._substitute(text, {key: self.resolve(each) for key, each in more.items()})
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case dict():
                return {key: self.resolve(each) for key, each in value.items()}
            case list():
                return [each for each in map(self.resolve, value) if each is not None]
        return value

    def _substitute(self, text: str, more: dict[str, str]) -> str:
        values = PSEUDO | more
        return re.sub(
            r"\$\{([^}]+)\}", lambda name: values.get(name[1]) or self.arn(name[1].removesuffix(".Arn")), text
        )

    def identity(self, role: str) -> list[Any]:
        """The parsed policies of a role, or of an administrator who may do everything."""
        if role not in self._parsed:
            if role == "administrator":
                documents = [EVERYTHING]
            else:
                properties = self.resources[role]["Properties"]
                managed = [
                    self.resources[each["Ref"]]["Properties"] for each in properties.get("ManagedPolicyArns", [])
                ]
                documents = [each["PolicyDocument"] for each in managed + properties.get("Policies", [])]
            self._parsed[role] = [evaluator.parse_policy_document(self.resolve(each)) for each in documents]
        return self._parsed[role]

    def _resource_policy(self, arn: str) -> Any:
        for name, properties in {**self.of_type("AWS::DynamoDB::Table"), **self.of_type("AWS::KMS::Key")}.items():
            if self.arn(name) == arn:
                return self.resolve(
                    properties.get("ResourcePolicy", {}).get("PolicyDocument") or properties.get("KeyPolicy")
                )
        return None

    def may(self, role: str, action: str, arn: str, **context: Any) -> bool:
        """Whether a role may do something; `context` has the values of condition keys, by the names in `KEYS`."""
        principal = f"arn:aws:sts::{emulator.ACCOUNT}:assumed-role/{role}/session"
        keys = {KEYS[name]: value for name, value in context.items() if value}
        asked = evaluator.EvalContext(
            principal, "AssumedRole", emulator.ACCOUNT, action, arn, emulator.REGION, service_context=keys
        )
        decided = evaluator.evaluate(asked, self.identity(role))
        if policy := self._resource_policy(arn):
            is_key = arn.startswith("arn:aws:kms:")
            decided = evaluator.combine_resource_policy(decided, asked, policy, emulator.ACCOUNT, required=is_key)
        return bool(decided.decision == "Allow")

    def invocable(self, function: str, service: str, source: str) -> bool:
        """Whether a service may invoke a function on behalf of a source."""
        statements = []
        for properties in self.of_type("AWS::Lambda::Permission").values():
            if properties["FunctionName"] == {"Ref": function}:
                principal = properties["Principal"]
                statement = {"Effect": "Allow", "Action": properties["Action"], "Resource": "*"}
                statement["Principal"] = "*" if principal == "*" else {"Service": principal}
                if "SourceArn" in properties:
                    statement["Condition"] = {"ArnLike": {"aws:SourceArn": self.resolve(properties["SourceArn"])}}
                statements.append(statement)
        return self._service_may({"Statement": statements}, "lambda:InvokeFunction", service, source)

    def assumable(self, role: str, service: str) -> bool:
        """Whether a service may take on a role."""
        document = self.resources[role]["Properties"]["AssumeRolePolicyDocument"]
        return self._service_may(json.loads(json.dumps(document)), "sts:AssumeRole", service, "")

    def _service_may(self, document: Any, action: str, service: str, source: str) -> bool:
        asked = evaluator.EvalContext(
            service, "Service", "", action, "*", "", service_context={"aws:sourcearn": source}
        )
        return bool(evaluator.evaluate_resource_policy(document, asked, service=service).decision == "Allow")


KEYS = {"keys": "dynamodb:leadingkeys", "select": "dynamodb:select", "namespace": "cloudwatch:namespace"}
