"""Numbers and tables that the first deployment's checklist in docs/operations.md names are those of the template and of
the page's own tables of metrics; those tables name the metrics of the code. The section about the deletion of the stack
names all queues.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import alarms

# Namespaces whose metrics the checklist counts.
NAMESPACES = ["Torale/Admin", "Torale/Consumer", "Torale/Postgres", "Torale/Temporal"]
NAMES = re.compile(r"`(\w+)`")
# Has a metric for each type of event, instead of a list.
BY_TYPE = "Torale/Events"
NAMESPACE = re.compile(r'(?:namespace: |NAMESPACE: &str = )"(Torale/\w+)"')
RECOVERY = "PointInTimeRecoveryStatus"


def section(page: str, title: str) -> str:
    """The text under a heading, up to the next one of the same rank."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def metrics(page: str) -> dict[str, set[str]]:
    """The metrics of each namespace, as the page's tables list them."""
    admin, _, others = section(page, "Metrics").partition("From log lines")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", admin, re.MULTILINE)
    found = {"Torale/Admin": {name for row in rows for name in NAMES.findall(row)}}
    for namespace, names in re.findall(r"^\| `(Torale/\w+)` \| ([^|]+) \|", others, re.MULTILINE):
        found[namespace] = set(NAMES.findall(names))
    return found


def metrics_of_code(root: Path) -> dict[str, set[str]]:
    """The metrics of each namespace that the code publishes to; none of the one that has them by type."""
    files = [file for folder in ("functions", "shared") for file in root.glob(f"{folder}/*/src/**/*.rs")]
    found: dict[str, set[str]] = {name: set() for file in files for name in NAMESPACE.findall(file.read_text())}
    return found | alarms.metrics_of_code(root)


def listed(page: str, root: Path) -> list[str]:
    """Metrics that the page's tables and the code do not share."""
    of_page, of_code = metrics(page), metrics_of_code(root)
    both = of_page.keys() & of_code.keys()
    differing = {name: sorted(of_page[name] ^ of_code[name]) for name in both if of_page[name] != of_code[name]}
    found = [f"{name}: in docs/operations.md or in the code, not in both: {names}" for name, names in differing.items()]
    return found + [f"{name}: not both a row of metrics in docs/operations.md and published" for name in
                    sorted(of_page.keys() ^ of_code.keys())]  # fmt: skip


def unnoticed_metrics(page: str, root: Path) -> list[str]:
    """Rows and names of the tables that could be missing without being noticed."""
    found = []
    for namespace, names in metrics(page).items():
        if namespace != "Torale/Admin" and not listed(page.replace(f"\n| `{namespace}` |", "\n| |"), root):
            found.append(f"checklist.py does not notice that the row {namespace} is missing")
        for name in names:
            before, heading, rest = page.partition("\n## Metrics\n")
            if not listed(before + heading + rest.replace(f"`{name}`", "`Another`"), root):
                found.append(f"checklist.py does not notice another name than {name}")
    return found


def recovery_row(page: str) -> str:
    """The row of the checklist about the recovery of tables."""
    return next((row for row in section(page, "The first deployment").splitlines() if RECOVERY in row), "")


def recovered(page: str) -> set[str]:
    """The tables whose recovery the checklist looks at."""
    return {table for names in re.findall(r"for table in ([^;]+);", recovery_row(page)) for table in names.split()}


def of_expressions(template: dict) -> tuple[int, dict[str, int]]:
    """The number of alarms about expressions: always, and more under each condition."""
    alarms = [of for of in template["Resources"].values() if of["Type"] == "AWS::CloudWatch::Alarm"]
    conditions = [of.get("Condition", "") for of in alarms if "Metrics" in of["Properties"]]
    return conditions.count(""), {name: conditions.count(name) for name in conditions if name}


def documented(template: dict, page: str) -> Iterator[str]:
    """What the checklist counts otherwise."""
    checklist, counted = section(page, "The first deployment"), metrics(page)
    always, more = of_expressions(template)
    if more != {"WithPostgres": 1, "WithTemporalSync": 1} or f"| {always} names, one more each with" not in checklist:
        yield f"docs/operations.md, the first deployment: {always} alarms about expressions, more under {more}"
    for namespace in NAMESPACES:
        row = next((row for row in checklist.splitlines() if f"--namespace {namespace}`" in row), "")
        number = len(counted.get(namespace, ()))
        if not re.search(rf"(?<!\d){number} metrics", row):
            yield f"docs/operations.md, the first deployment: {namespace} has {number} metrics"
    tables = alarms.of_type(template["Resources"], "AWS::DynamoDB::Table").values()
    restorable = {of["TableName"] for of in tables if "PointInTimeRecoverySpecification" in of}
    if recovered(page) != restorable:
        yield f"docs/operations.md, the first deployment: recovery of {sorted(recovered(page) ^ restorable)}"


def queues(template: dict) -> list[str]:
    """The names of all queues, whose messages are lost with the stack."""
    return [of["QueueName"] for of in alarms.of_type(template["Resources"], "AWS::SQS::Queue").values()]


def emptied(template: dict, page: str) -> list[str]:
    """Queues that the section about the deletion of the stack does not say to empty."""
    deletion = section(page, "Deploy").partition("\n### After sam delete\n")[2]
    names = [name for name in queues(template) if f"`{name}`" not in deletion]
    return [f"docs/operations.md, After sam delete: what {name} holds is lost" for name in names]


def unnoticed_queues(template: dict, page: str) -> list[str]:
    """Queues that the section could leave out without being noticed."""
    names = [name for name in queues(template) if not emptied(template, page.replace(f"`{name}`", ""))]
    return [f"checklist.py does not notice that the deletion forgets {name}" for name in names]


def unnoticed(template: dict, page: str) -> list[str]:
    """Numbers in the checklist that could be others without being noticed."""
    _, heading, rest = page.partition("\n## The first deployment\n")
    numbers = list(re.finditer(r"(?<!\d)\d+(?= (?:metrics|names, one more)\b)", rest.partition("\n## ")[0]))
    found = [] if len(numbers) == len(NAMESPACES) + 1 else [f"checklist.py looks at {len(numbers)} numbers"]
    for number in numbers:
        other = rest[: number.start()] + str(int(number[0]) + 1) + rest[number.end() :]
        if not list(documented(template, page.partition(heading)[0] + heading + other)):
            found.append(f"checklist.py does not notice another number than {number[0]}")
    for table in recovered(page):
        row = recovery_row(page)
        if not list(documented(template, page.replace(row, re.sub(rf" {table}(?=[ ;])", "", row)))):
            found.append(f"checklist.py does not notice that the recovery of {table} is not looked at")
    return found
