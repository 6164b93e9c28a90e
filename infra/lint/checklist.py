"""Numbers that the first deployment's checklist in docs/operations.md names are those of the template and of the page's
own tables of metrics.
"""

import re
from collections.abc import Iterator

# Namespaces whose metrics the checklist counts.
NAMESPACES = ["Torale/Admin", "Torale/Consumer", "Torale/Postgres", "Torale/Temporal"]
NAMES = re.compile(r"`(\w+)`")


def section(page: str, title: str) -> str:
    """The text under a heading, up to the next one of the same rank."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def metrics(page: str) -> dict[str, int]:
    """The number of metrics of each namespace, as the page's tables list them."""
    admin, _, others = section(page, "Metrics").partition("From log lines")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", admin, re.MULTILINE)
    found = {"Torale/Admin": sum(len(NAMES.findall(row)) for row in rows)}
    for namespace, names in re.findall(r"^\| `(Torale/\w+)` \| ([^|]+) \|", others, re.MULTILINE):
        found[namespace] = len(NAMES.findall(names))
    return found


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
        if not re.search(rf"(?<!\d){counted.get(namespace)} metrics", row):
            yield f"docs/operations.md, the first deployment: {namespace} has {counted.get(namespace)} metrics"


def unnoticed(template: dict, page: str) -> list[str]:
    """Numbers in the checklist that could be others without being noticed."""
    _, heading, rest = page.partition("\n## The first deployment\n")
    numbers = list(re.finditer(r"(?<!\d)\d+(?= (?:metrics|names, one more)\b)", rest.partition("\n## ")[0]))
    found = [] if len(numbers) == len(NAMESPACES) + 1 else [f"checklist.py looks at {len(numbers)} numbers"]
    for number in numbers:
        other = rest[: number.start()] + str(int(number[0]) + 1) + rest[number.end() :]
        if not list(documented(template, page.partition(heading)[0] + heading + other)):
            found.append(f"checklist.py does not notice another number than {number[0]}")
    return found
