"""Second opinions on the store: the account's log, taken into other stores and rebuilt there, gives the same items.

One is the store that the tests and the local stack embed. Where `DYNAMODB_ENDPOINT` names another one, that is asked as
well: Amazon's DynamoDB Local, for example, which keeps the tables of different access keys apart (without `-sharedDb`).
"""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

import emulator
from account import CONFIG, ENDING, Account, Wrong, expect, until
from machinery import TOOL_SECONDS, Tools, pointer
from stack import expanded
from story import equal

VARIABLE = "DYNAMODB_ENDPOINT"
# What was started here, in the order of it; also what has ended.
STARTED: list[subprocess.Popen[Any]] = []
EMBEDDED_SECONDS = 120
_STARTING = threading.Lock()
Items = dict[tuple[str, str], dict[str, Any]]


def _start(command: list[str], **more: Any) -> subprocess.Popen[Any]:
    """Starts a process that `end` will end.

    Raises:
        Wrong: If the check is ending.
    """
    with _STARTING:
        expect(not ENDING.is_set(), f"the check ended before {Path(command[0]).name} was started")
        STARTED.append(subprocess.Popen(command, **more))
        return STARTED[-1]


def end() -> None:
    """Ends the comparison of another thread, which would go on otherwise: nothing more is started, and what was
    started is asked to stop. torale-local then stops what it has started, and `_embedded` waits for that.
    """
    with _STARTING:
        ENDING.set()
    for process in STARTED:
        # Does nothing to one that has ended.
        process.terminate()


class Elsewhere:
    """A store at an address on loopback, with an access key that nobody else has."""

    def __init__(self, name: str, url: str, target: Path) -> None:
        self.name, self.tool = name, target / "debug" / "torale-replay"
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": emulator.REGION,
            "AWS_ACCESS_KEY_ID": f"{secrets.randbelow(10**12):012}",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.client = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name=emulator.REGION,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key="test",  # noqa: S106
            config=CONFIG,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command of `torale-replay` over this store."""
        settle = [] if "--settle" in arguments else ["--settle", "1"]
        command = [str(self.tool), *settle, *arguments]
        return _start(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *arguments: str) -> str:
        """The output of a command, which must succeed."""
        with self.start(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=TOOL_SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise Wrong(f"{self.name}: replay {' '.join(arguments)} takes longer than {TOOL_SECONDS} s") from error
        expect(process.returncode == 0, f"{self.name}: replay {' '.join(arguments)}: {output}")
        return output

    def create_tables(self) -> None:
        """Creates the template's tables, as far as a store alone has them."""
        for resource in expanded()["Resources"].values():
            if resource["Type"] == "AWS::DynamoDB::Table":
                wanted = ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode")
                self.client.create_table(**{key: resource["Properties"][key] for key in wanted})

    def tables(self) -> list[str]:
        """The names of all tables."""
        found: list[str] = self.client.list_tables()["TableNames"]
        return found

    def has_items(self, table: str) -> bool:
        """Whether a table exists and holds an item."""
        return table in self.tables() and bool(self.client.scan(TableName=table, Limit=1)["Count"])


def _live_generation(client: Any) -> str:
    """The name of the live generation; the first one if no other was ever promoted."""
    found = client.get_item(TableName="torale-control", Key=pointer(), ConsistentRead=True).get("Item")
    return str(found["generation"]["S"]) if found else "g1"


def _live(client: Any) -> Items:
    """The items of the live generation."""
    live = _live_generation(client)
    pages = client.get_paginator("scan").paginate(TableName=f"torale-projections-{live}")
    return {(item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}


@contextlib.contextmanager
def _embedded(account: Account, target: Path) -> Iterator[str]:
    """The local stack's store; gives its address."""
    ports = [emulator.free_port() for _ in range(3)]
    options = [f"--{name}-port={port}" for name, port in zip(("http", "sqs", "dynamodb"), ports, strict=True)]
    log = account.folder / "local.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(emulator.FOREIGN)}
    with log.open("w") as output:
        command = [str(target / "debug" / "torale-local"), "--no-functions", *options]
        process = _start(
            command,
            env=environment | {"CARGO_TARGET_DIR": str(target)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until("the local stack is up", lambda: "are up" in log.read_text(), EMBEDDED_SECONDS)
        yield f"http://127.0.0.1:{ports[2]}"
    finally:
        # It stops its queue and whatever else it has started.
        process.terminate()
        try:
            process.wait(emulator.STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _same(of: Elsewhere, log: Path, expected: Items) -> None:
    """The log is taken in and rebuilt, by a rebuild that is killed once it has begun, and another one that goes on."""
    of.run("import", str(log))
    rebuild = ("rebuild", "--generation", "g2", "--promote", "--accept-differences")
    # It could not be over before it is killed: it waits for that long before it promotes.
    with of.start("--settle", str(TOOL_SECONDS), *rebuild) as process:
        until(f"{of.name}: a rebuild has begun to write", lambda: of.has_items("torale-projections-g2"))
        process.kill()
        equal(f"{of.name}: how the rebuild ended", process.wait(), -signal.SIGKILL)
    equal(f"{of.name}: the generation that is live after the kill", _live_generation(of.client), "g1")
    of.run(*rebuild)
    equal(f"{of.name}: the generation that is live", _live_generation(of.client), "g2")
    expect("no differences" in of.run("verify"), f"{of.name}: the log and the items differ")
    found = _live(of.client)
    differing = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    equal(f"{of.name}: items that differ from the account's", differing, [])


def compare(account: Account, tools: Tools, target: Path) -> list[str]:
    """Takes the log into every other store; gives their names.

    Raises:
        Wrong: If one of them has other items than the account.
    """
    log = account.folder / "log"
    status, text = tools.run("torale-replay", "--settle", "1", "export", str(log))
    expect(status == 0, f"replay export: {status} {text}")
    expected, names = _live(account.client("dynamodb")), ["embedded"]
    expect(expected, "the account has no items")
    with _embedded(account, target) as url:
        _same(Elsewhere("embedded", url, target), log, expected)
    if url := os.environ.get(VARIABLE, ""):
        other = Elsewhere(url, url, target)
        # With -sharedDb another access key's tables would be among them.
        expect(not other.tables(), f"{url} has tables: does it keep those of different access keys apart?")
        try:
            other.create_tables()
            _same(other, log, expected)
        finally:
            for table in other.tables():
                if table.startswith("torale-"):
                    other.client.delete_table(TableName=table)
        names.append(url)
    return names
