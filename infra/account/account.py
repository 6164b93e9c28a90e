"""The emulated account: clients with the credentials of root or of a role, and requests to the deployed API."""

import contextlib
import functools
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

import emulator
import record

ROOT = Path(__file__).parent.parent.parent
STACK = "torale-admin"
SECONDS = 30
# How long something is waited for, in seconds: for nothing so long by itself, but others may have the machine.
PATIENCE = 180
CONFIG = Config(retries={"max_attempts": 0}, connect_timeout=SECONDS, read_timeout=SECONDS, parameter_validation=True)


# Set as soon as the check is stopped or fails: whatever waits in another thread gives up.
ENDING = threading.Event()

T = TypeVar("T")


class Wrong(Exception):  # noqa: N818
    """Something is not as it must be."""


def visible(text: str) -> str:
    """The text with everything escaped that a terminal would obey or not show, but for the ends of lines."""
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def expect(truth: object, otherwise: str) -> None:
    """Raises Wrong with a text if something does not hold."""
    if not truth:
        raise Wrong(otherwise)


def constant(path: str, pattern: str) -> int:
    """A number that the product's source defines: the file in the repository, and the line with the number as a group.

    Raises:
        Wrong: If there is no such line.
    """
    found = re.findall(pattern, (ROOT / path).read_text())
    expect(len(found) == 1, f"{path} has {len(found)} lines like {pattern}")
    return int(found[0])


def until(what: str, ask: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Asks again and again until the answer is true, and gives it.

    Raises:
        Wrong: If it is not true in time, or if the check ends before.
    """
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        expect(time.monotonic() < deadline, f"not within {seconds} s: {what}; the last answer was {answer!r}")
        expect(not ENDING.wait(0.2), f"the check ended before: {what}")
    return answer


@contextlib.contextmanager
def workers(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads. If the check is stopped or fails meanwhile, what they wait for is not waited for."""
    with ThreadPoolExecutor(number) as found:
        try:
            yield found
        except BaseException:
            ENDING.set()
            raise


@dataclass(frozen=True)
class Difference:
    """What two sets do not share: not true, and named where it stays."""

    missing: list[Any]
    beyond: list[Any]

    def __bool__(self) -> bool:
        """It is not what was expected."""
        return False


def same(found: set[Any], expected: set[Any]) -> Difference | bool:
    """Whether two sets are equal; else what is missing from the first and what it has beyond the second."""
    return found == expected or Difference(sorted(expected - found)[:5], sorted(found - expected)[:5])


class Account:
    """An account of AWS at an endpoint on loopback."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        # Keys of users, by their names in infra/rights.toml.
        self.people: dict[str, dict[str, str]] = {}
        self.endpoint = f"http://127.0.0.1:{port}"

    @functools.cache  # noqa: B019
    def client(self, service: str, who: str = "") -> Any:
        """A client with the rights of a role of the stack (its logical id), of a user, or of root."""
        root = {"AccessKeyId": "test", "SecretAccessKey": "test"}
        keys = self.people.get(who) or (self.assume(who) if who else root)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=emulator.REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=CONFIG,
        )

    @functools.cache  # noqa: B019
    def assume(self, role: str) -> dict[str, str]:
        """Credentials of a role of the stack, as the service would get them that it trusts."""
        arn = f"arn:aws:iam::{emulator.ACCOUNT}:role/{self.physical(role)}"
        found: dict[str, str] = self.client("sts").assume_role(RoleArn=arn, RoleSessionName=record.TRYING)[
            "Credentials"
        ]
        return found

    @functools.cached_property
    def resources(self) -> dict[str, str]:
        """Physical ids of the stack's resources by their logical ids."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def forget(self) -> None:
        """Asks for resources and outputs anew from now on: the stack is another one."""
        for name in ("resources", "outputs"):
            self.__dict__.pop(name, None)

    def physical(self, logical: str) -> str:
        """The physical id of a resource of the stack."""
        return self.resources[logical]

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def substitute(self, text: str) -> str:
        """A text with the values of CloudFormation's pseudo parameters."""
        values = {"Partition": "aws", "Region": emulator.REGION, "AccountId": emulator.ACCOUNT}
        return re.sub(r"\$\{AWS::(\w+)\}", lambda name: values[name[1]], text)

    def exchange(self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes | None = None,
                 api: str = "") -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """Status, headers (named in lower case) and body of the answer of the stack's API, or of another one."""
        host = api or self.outputs["ApiUrl"].split("/")[2].split(".")[0]
        sent = {"Host": f"{host}.execute-api.localhost:{self.port}"} | (headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, received, answer.read()
        finally:
            connection.close()

    def request(self, method: str, path: str, key: str = "", body: Any = None, headers: dict[str, str] | None = None,
                api: str = "") -> tuple[int, Any]:  # fmt: skip
        """Status and body (parsed, if it is JSON) of the answer of the stack's API, or of another one."""
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = f"Bearer {key}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        status, _, text = self.exchange(method, path, sent, content, api)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")
