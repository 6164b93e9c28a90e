"""What the system costs: measured units (docs/benchmarks) times public prices. Writes the tables of docs/operations/costs.md.

    cost = units * price of a unit, added up; the rows name both.

`python3 infra/costs.py --check` compares them with the page.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/operations/costs.md"
BEGIN, END = "<!-- costs: made by infra/costs.py -->\n", "<!-- end of costs -->\n"

# us-east-1, on demand, arm64, in dollars, as published on 2026-11-23. To be looked up again before anybody relies on them.
WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
STORED_GB_MONTH = 0.25 + 0.20  # and point-in-time recovery
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20e-6
API_REQUEST = 1.00e-6
SQS_REQUEST = 0.40e-6
METRIC_MONTH = 0.30
METRICS_CALL = 0.01 / 1_000
ALARM_METRIC_MONTH = 0.10
LOG_GB = 0.50
KMS_KEY_MONTH = 1.00
KMS_SIGNATURE = 0.15 / 10_000
DASHBOARD_MONTH = 3.00
SHARE_OF_GB = 1 / 1_000_000_000

# Assumed, since nothing here has run in an account: what a network adds to the times that were measured.
REQUEST_SECONDS = 0.060
REQUEST_GB = 0.5
BATCH_SECONDS = 0.5  # and 1 ms an event
CONSUMER_GB = 0.5
JOB_SECONDS = 0.2
LOG_LINE_BYTES = 700
# Of an invocation: Lambda's own lines START, END and REPORT.
PLATFORM_BYTES = 400

# Measured by tests/suite/tests/deployment/job_costs.rs: units of one run of each job while nothing happens, and of indexing a record.
IDLE_READ_UNITS = {"outbox-relay": 1.0, "audit-seal": 5.0, "metrics": 23.5}
INDEXED_RECORD_WRITE_UNITS = 10.0
RUNS_A_MONTH = 60 * 24 * 30
# Metrics of `Torale/Admin`; those of the consumer, and of the types of events, which are published only when events arrive; those of
# the executor. Metrics about faults cost nothing while there are none.
ALWAYS_PUBLISHED, PUBLISHED_WITH_EVENTS, COMMAND_METRICS = 12, 8 + 29, 4
# Of functions that exist under a condition of the template: their metrics, published in every run.
POSTGRES_METRICS, TEMPORAL_METRICS = 4, 5
# Measured by sources/temporal/tests: units of a run of temporal-sync that finds nothing new.
SYNC_READ_UNITS = 2.0
SYNC_WRITE_UNITS = 1.0

Row = tuple[str, str, float]


def table(name: str, title: str) -> list[dict]:
    tables = json.loads((ROOT / f"docs/benchmarks/{name}.json").read_text())["tables"]
    return next(t["rows"] for t in tables if t["title"].startswith(title))


def log_lines(invocations: int, lines: int) -> Row:
    size = lines * LOG_LINE_BYTES + PLATFORM_BYTES
    how = f"{invocations:,} x {size / 1000} KB x ${LOG_GB:.2f}/GB"
    return "log lines, Lambda's own among them", how, invocations * size * SHARE_OF_GB * LOG_GB


def per_million_events(batch: int) -> list[Row]:
    rows = table("write", "Units by type and batch size")
    mix = next(r for r in rows if r["event"] == "realistic mix" and r["batch"] == batch)
    writes, reads = mix["write units an event"], mix["read units an event"]
    seconds = 1_000_000 / batch * BATCH_SECONDS + 1_000
    return [
        (f"{writes} write units an event", f"{writes}M x $0.625/M", writes * 1e6 * WRITE_UNIT),
        (f"{reads} read units an event", f"{reads}M x $0.125/M", reads * 1e6 * READ_UNIT),
        ("sent one by one, received and deleted in tens", "1.2M x $0.40/M", 1.2e6 * SQS_REQUEST),
        ("consumer", f"{seconds:,.0f} s x {CONSUMER_GB} GB, {1_000_000 // batch:,} invocations",
         seconds * CONSUMER_GB * LAMBDA_GB_SECOND + 1e6 / batch * LAMBDA_REQUEST),
        log_lines(1_000_000 // batch, 2),
    ]


def per_million_requests(endpoint: str) -> list[Row]:
    rows = [r for r in table("read", "1000000 executions") if r["endpoint"] == endpoint and r["page"] == 1]
    units = rows[0]["read units in all"]
    record = table("deactivate", "Around every handler")[0]["write units"]
    indexed = INDEXED_RECORD_WRITE_UNITS
    return [
        ("HTTP API", "1M x $1.00/M", 1e6 * API_REQUEST),
        (f"{units} read units", f"{units}M x $0.125/M", units * 1e6 * READ_UNIT),
        (f"{record} write units (limit, record)", f"{record}M x $0.625/M", record * 1e6 * WRITE_UNIT),
        (f"{indexed} write units (index of the audit trail)", f"{indexed}M x $0.625/M", indexed * 1e6 * WRITE_UNIT),
        ("function", f"{REQUEST_SECONDS} s x {REQUEST_GB} GB",
         1e6 * (REQUEST_SECONDS * REQUEST_GB * LAMBDA_GB_SECOND + LAMBDA_REQUEST)),
        log_lines(1_000_000, 1),
    ]


def watched(condition: str | None = None) -> int:
    """The metrics that alarms name, of all resources or of those under a condition of the template."""
    resources = re.split(r"\n  (?=\w+:\n)", (ROOT / "infra/template.yaml").read_text())
    named = [text for text in resources if condition is None or f"\n    Condition: {condition}\n" in text]
    return sum(text.count("MetricName: ") for text in named)


def job(runs: int, name: str) -> Row:
    return (name, f"{runs:,} runs x {JOB_SECONDS} s x {REQUEST_GB} GB",
            runs * (JOB_SECONDS * REQUEST_GB * LAMBDA_GB_SECOND + LAMBDA_REQUEST))


def idle_month() -> list[Row]:
    jobs, units = len(IDLE_READ_UNITS), sum(IDLE_READ_UNITS.values())
    runs = jobs * RUNS_A_MONTH
    # Each metric that an alarm names, and the query about all tables.
    alarmed = watched() - watched("WithPostgres") - watched("WithTemporalSync") + 1
    polls = 2 * 5 * 3 * RUNS_A_MONTH
    seals = 6 * 24 * 30
    return [
        ("custom metrics", f"{ALWAYS_PUBLISHED} x $0.30", ALWAYS_PUBLISHED * METRIC_MONTH),
        ("publishing them, every minute", f"{RUNS_A_MONTH:,} calls x $0.01/1,000", RUNS_A_MONTH * METRICS_CALL),
        ("alarms", f"{alarmed} metrics x $0.10", alarmed * ALARM_METRIC_MONTH),
        ("dashboard", "1 x $3.00", DASHBOARD_MONTH),
        ("sealing key, at least one seal every ten minutes", f"$1 + {seals:,} signatures",
         KMS_KEY_MONTH + seals * KMS_SIGNATURE),
        job(runs, f"{jobs} jobs a minute"),
        (f"their reads, {units} units a minute", f"{units * RUNS_A_MONTH / 1e6:.2f}M x $0.125/M",
         units * RUNS_A_MONTH * READ_UNIT),
        ("queues polled by five pollers each, every 20 s", f"{polls / 1e6:.2f}M x $0.40/M", polls * SQS_REQUEST),
        log_lines(runs, 1),
    ]


def month_with_events() -> list[Row]:
    published = PUBLISHED_WITH_EVENTS
    return [
        ("metrics of the consumer and of the types of events", f"{published} x $0.30", published * METRIC_MONTH),
        ("metrics of the executor, if there are commands in every hour", f"{COMMAND_METRICS} x $0.30", COMMAND_METRICS * METRIC_MONTH),
        ("reading the age of the oldest event", f"{2 * RUNS_A_MONTH:,} calls x $0.01/1,000", 2 * RUNS_A_MONTH * METRICS_CALL),
    ]


def month_with_postgres() -> list[Row]:
    alarmed = watched("WithPostgres")
    return [
        ("metrics of the relay", f"{POSTGRES_METRICS} x $0.30", POSTGRES_METRICS * METRIC_MONTH),
        ("alarms", f"{alarmed} metrics x $0.10", alarmed * ALARM_METRIC_MONTH),
        job(RUNS_A_MONTH, "a job a minute"),
        log_lines(RUNS_A_MONTH, 2),
    ]


def month_with_temporal() -> list[Row]:
    alarmed, units = watched("WithTemporalSync"), (SYNC_READ_UNITS, SYNC_WRITE_UNITS)
    return [
        ("metrics of the sync", f"{TEMPORAL_METRICS} x $0.30", TEMPORAL_METRICS * METRIC_MONTH),
        ("alarms", f"{alarmed} metrics x $0.10", alarmed * ALARM_METRIC_MONTH),
        job(RUNS_A_MONTH, "a job a minute"),
        ("its reads and writes, while nothing happens", f"{RUNS_A_MONTH:,} x ({units[0]} x $0.125/M + {units[1]} x $0.625/M)",
         RUNS_A_MONTH * (units[0] * READ_UNIT + units[1] * WRITE_UNIT)),
        log_lines(RUNS_A_MONTH, 2),
    ]


def markdown(title: str, rows: list[Row]) -> str:
    lines = [f"**{title}**\n", "| what | units x price | dollars |", "|---|---|---|"]
    lines += [f"| {what} | {how} | {dollars:.2f} |" for what, how, dollars in rows]
    lines.append(f"| **total** | | **{sum(dollars for _, _, dollars in rows):.2f}** |\n")
    return "\n".join(lines)


def page() -> str:
    return "\n".join([
        markdown("A million events, the realistic mix in batches of 100", per_million_events(100)),
        markdown("A million events in batches of 10, as in quiet times", per_million_events(10)),
        markdown("A million requests for `/admin/stats`, a million executions stored", per_million_requests("stats")),
        markdown("A million requests for page 1 of `/admin/executions`", per_million_requests("executions, 24 hours")),
        markdown("A month in which nothing happens", idle_month()),
        markdown("In addition, a month with events of all types in every hour and waiting events in every minute", month_with_events()),
        markdown("In addition, a month of `postgres-relay`, if there is one", month_with_postgres()),
        markdown("In addition, a month of `temporal-sync`, if there is one", month_with_temporal()),
    ])


def findings() -> list[str]:
    """Whether the page has other figures than these."""
    found = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    return [] if found == page() else ["docs/operations/costs.md: the costs are not those of infra/costs.py"]


def main() -> int:
    if "--check" in sys.argv:
        print("\n".join(findings()), file=sys.stderr)
        return 1 if findings() else 0
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + page() + END + rest.partition(END)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
