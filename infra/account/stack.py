"""The stack in the emulated account: functions packaged, the template deployed, changed and deleted."""

import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import adaptations
from account import STACK, Account, expect, until

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT / "infra/lint"))

import template as lint  # noqa: E402

BUCKET = "code"
ENDED = ("COMPLETE", "FAILED")
# The parameters that differ from their defaults; ClerkApiUrl is added, an address on loopback.
FORWARDED_TO = "platform-commands"
PARAMETERS = {
    "Architecture": "x86_64",
    "ClerkWebhookSecret": "whsec_c21va2Utc21va2Utc21va2Utc21va2U=",
    "ClerkSecretKey": "sk_test_account",
    "CommandsHandled": "user.ban,api_key.revoke",
    "CommandsForwardQueue": FORWARDED_TO,
}


def template() -> dict[str, Any]:
    """The template as it is deployed here: expanded, adapted, each function with the name of its binary."""
    expanded = lint.expanded()
    for resource in expanded["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["Code"] = {"S3Bucket": BUCKET, "S3Key": f"{binary}.zip"}
    return adaptations.adapted(expanded)


def binaries(of: dict[str, Any]) -> list[str]:
    """The names of the functions' binaries."""
    functions = [resource for resource in of["Resources"].values() if resource["Type"] == "AWS::Lambda::Function"]
    return sorted(function["Properties"]["Code"]["S3Key"].removesuffix(".zip") for function in functions)


def _package(binary: Path, folder: Path) -> Path:
    """Strips a binary and packages it as Lambda takes it."""
    stripped, package = folder / f"{binary.name}.stripped", folder / f"{binary.name}.zip"
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(package, "w") as file:
        file.writestr(entry, stripped.read_bytes(), compresslevel=1)
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
    account.client("s3").put_object(Bucket=BUCKET, Key=name, Body=json.dumps(of).encode())
    return f"{account.endpoint}/{BUCKET}/{name}"


def wait(account: Account, name: str, should: str) -> None:
    cloudformation = account.client("cloudformation")

    def status() -> str:
        found = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return found if found.endswith(ENDED) else ""

    found = until(f"the stack {name} is {should}", status)
    if found != should:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in events if "FAILED" in e["ResourceStatus"]]
        expect(False, f"the stack {name} is {found}, not {should}: {failed}")  # noqa: FBT003


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
    adaptations.set_up_tables(account, of["Resources"])


def probe(account: Account) -> list[str]:
    """The changes of the template that are not needed any more."""
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="probe", TemplateBody=json.dumps(adaptations.probe()), Capabilities=["CAPABILITY_IAM"])
    wait(account, "probe", "CREATE_COMPLETE")
    found = adaptations.unneeded(account)
    cloudformation.delete_stack(StackName="probe")
    return found
