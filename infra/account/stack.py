"""The stack in the emulated account: functions packaged, the template deployed, changed and deleted."""

import functools
import json
import logging
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from template import expanded as expand

import adapted_template
from account import STACK, Account, expect, until

# It warns of metrics of its own that nobody collects.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

BUCKET = "code"
ENDED = ("COMPLETE", "FAILED")
# The parameters that differ from their defaults; ClerkApiUrl is added, an address on loopback.
FORWARDED_TO = "platform-commands"
PARAMETERS = {
    "Architecture": "x86_64",
    "ClerkWebhookSecret": "whsec_c21va2Utc21va2Utc21va2Utc21va2U=",
    "ClerkSecretKey": "sk_test_account",
    "ClerkAuthorizedParties": "https://admin.example.com",
    "CommandsHandled": "user.ban,api_key.revoke",
    "CommandsForwardQueue": FORWARDED_TO,
}
# Conditions under which the template has functions that read the platform's own systems, of which there are none here:
# they are not deployed. Their policies are decided all the same, see matrix.py.
WITHOUT = {"WithPostgres", "WithTemporalSync"}


@functools.cache
def whole() -> dict[str, Any]:
    """The template as CloudFormation receives it."""
    found: dict[str, Any] = expand()
    return found


@functools.cache
def expanded() -> dict[str, Any]:
    """That without what the platform's own systems are needed for."""
    resources = whole()["Resources"].items()
    kept = {name: of for name, of in resources if of.get("Condition") not in WITHOUT}
    return whole() | {"Resources": kept}


def template() -> dict[str, Any]:
    """The template as it is deployed here: expanded and adapted, with the names of the functions' binaries."""
    found = adapted_template.adapted(expanded())
    for resource in found["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["Code"] = {"S3Bucket": BUCKET, "S3Key": f"{binary}.zip"}
    return found


def binaries(of: dict[str, Any]) -> list[str]:
    """The names of the functions' binaries."""
    functions = [resource for resource in of["Resources"].values() if resource["Type"] == "AWS::Lambda::Function"]
    return sorted(function["Properties"]["Code"]["S3Key"].removesuffix(".zip") for function in functions)


def _package(binary: Path, folder: Path) -> Path:
    """Strips a binary and packages it as Lambda takes it."""
    expect(binary.exists(), f"{binary} is not built")
    stripped, package = folder / f"{binary.name}.stripped", folder / f"{binary.name}.zip"
    subprocess.run(["strip", "-o", stripped, binary], check=True)  # noqa: S607
    entry = zipfile.ZipInfo("bootstrap")
    # Stored as it is: that is quicker than anything that comes of a smaller file.
    entry.external_attr = 0o755 << 16
    with zipfile.ZipFile(package, "w") as file:
        file.writestr(entry, stripped.read_bytes())
    stripped.unlink()
    return package


def upload(account: Account, target: Path, of: dict[str, Any]) -> int:
    """Packages all functions, and puts them where the stack takes its code from; gives their number."""
    s3 = account.client("s3")
    s3.create_bucket(Bucket=BUCKET)

    def one(name: str) -> None:
        package = _package(target / "debug" / name, account.folder)
        s3.put_object(Bucket=BUCKET, Key=package.name, Body=package.read_bytes())
        package.unlink()

    names = binaries(of)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(one, names))
    return len(names)


def put(account: Account, of: dict[str, Any], name: str) -> str:
    """Puts a template where CloudFormation reads it, since it is too long for a parameter; gives its address."""
    account.client("s3").put_object(Bucket=BUCKET, Key=name, Body=json.dumps(of).encode())
    return f"{account.endpoint}/{BUCKET}/{name}"


def wait(account: Account, name: str, should: str) -> None:
    """Waits until a stack has ended in a status.

    Raises:
        Wrong: If it has ended in another.
    """
    cloudformation = account.client("cloudformation")

    def status() -> str:
        found = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return found if found.endswith(ENDED) else ""

    found = until(f"the stack {name} is {should}", status)
    if found != should:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [
            f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}"
            for e in events
            if "FAILED" in e["ResourceStatus"]
        ]
        expect(False, f"the stack {name} is {found}, not {should}: {failed}")


def create(account: Account, of: dict[str, Any], clerk: str) -> None:
    """Creates the stack.

    Raises:
        Wrong: If that fails.
    """
    values = PARAMETERS | {"ClerkApiUrl": clerk}
    account.client("cloudformation").create_stack(
        StackName=STACK,
        TemplateURL=put(account, of, "template.json"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )
    wait(account, STACK, "CREATE_COMPLETE")
    adapted_template.afterwards(account, of["Resources"])


def update(account: Account, of: dict[str, Any], clerk: str) -> None:
    """Gives the stack this template, whatever it had.

    Raises:
        Wrong: If that fails.
    """
    values = PARAMETERS | {"ClerkApiUrl": clerk}
    account.client("cloudformation").update_stack(
        StackName=STACK,
        TemplateURL=put(account, of, "template.json"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )
    wait(account, STACK, "UPDATE_COMPLETE")


def probe(account: Account) -> list[str]:
    """The changes of the template that are not needed any more."""
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(
        StackName="probe", TemplateBody=json.dumps(adapted_template.probe()), Capabilities=["CAPABILITY_IAM"]
    )
    wait(account, "probe", "CREATE_COMPLETE")
    found = adapted_template.unneeded(account)
    cloudformation.delete_stack(StackName="probe")
    return found
