"""What functions are given, what starts them, what is kept and for how long: tables, against the expanded template."""

EVERY_MINUTE = {"OutboxRelay", "AuditSeal", "Metrics"}

# What every function is told: nothing of it is secret.
COMMON = {
    "RUST_LOG",
    "TEMPORAL_UI_URL",
    "TEMPORAL_NAMESPACE",
    "CLERK_ISSUER",
    "CLERK_JWKS_URL",
    "CLERK_JWT_KEY",
    "CLERK_AUTHORIZED_PARTIES",
    "CLERK_API_URL",
    "ROLE_SOURCE",
    "RATE_LIMIT_PER_MINUTE",
    "RATE_LIMIT_PER_HOUR",
}
# What single functions are told besides.
ROLES = {"CLERK_SECRET_KEY": {"Fn::If": ["RolesOfClerk", {"Ref": "ClerkSecretKey"}, ""]}}
COMMANDS = {"TORALE_COMMANDS_QUEUE_URL": {"Ref": "CommandsQueue"}}
EVENTS = {"TORALE_EVENTS_QUEUE_URL": {"Ref": "EventsQueue"}}
FORWARD = {"Fn::Sub": "https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/${CommandsForwardQueue}"}
OWN = {
    "Stats": ROLES,
    "Queries": ROLES,
    "Executions": ROLES,
    "Errors": ROLES,
    "Users": ROLES,
    "TemporalWorkflows": ROLES,
    "TemporalSchedules": ROLES,
    "Audit": ROLES,
    "DeactivateUser": ROLES | COMMANDS,
    "ReactivateUser": ROLES,
    "DeactivateUsers": ROLES | COMMANDS,
    "OpenApi": {},
    "Fallback": {},
    "ClerkWebhook": {"CLERK_WEBHOOK_SECRET": {"Ref": "ClerkWebhookSecret"}} | EVENTS,
    "Consumer": {},
    "CommandExecutor": {
        "CLERK_SECRET_KEY": {"Ref": "ClerkSecretKey"},
        "TEMPORAL_ADDRESS": {"Ref": "TemporalAddress"},
        "TEMPORAL_API_KEY": {"Ref": "TemporalApiKey"},
        "COMMANDS_HANDLED": {"Ref": "CommandsHandled"},
        "COMMANDS_FORWARD_QUEUE_URL": {"Fn::If": ["WithForwarding", FORWARD, ""]},
    } | EVENTS,
    "OutboxRelay": COMMANDS,
    "AuditSeal": {"AUDIT_KMS_KEY_ID": {"Fn::GetAtt": ["AuditKey", "Arn"]}, "RUST_LOG": "info"},
    "Metrics": EVENTS,
    "Replay": {},
}

# What outlives the stack; a creation that fails leaves nothing all the same, or the next one would find the names taken.
KEPT = {"EventsTable", "ControlTable", "AuditTable", "QuarantineTable", "AuditKey", "SealLogs"}

DAY = 24 * 60 * 60
# Name, seconds until a message is seen again, days that it is kept, where it goes after how many receives.
QUEUES = {
    "EventsQueue": ("torale-events", 380, 7, ("EventsDeadLetters", 60)),
    "CommandsQueue": ("torale-commands", 180, 7, ("CommandsDeadLetters", 480)),
    "EventsDeadLetters": ("torale-events-dlq", None, 14, None),
    "CommandsDeadLetters": ("torale-commands-dlq", None, 14, None),
}


def queue(name: str, hidden: int | None, days: int, then: tuple[str, int] | None) -> dict:
    """All properties of a queue."""
    properties = {"QueueName": name, "MessageRetentionPeriod": days * DAY, "SqsManagedSseEnabled": True}
    if then:
        target = {"Fn::GetAtt": [then[0], "Arn"]}
        redrive = {"deadLetterTargetArn": target, "maxReceiveCount": then[1]}
        return properties | {"VisibilityTimeout": hidden, "RedrivePolicy": redrive}
    source = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + name.removesuffix("-dlq")
    return properties | {"RedriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [{"Fn::Sub": source}]}}


def rule(function: str) -> dict:
    """All properties of a job's schedule."""
    target = {"Arn": {"Fn::GetAtt": [function, "Arn"]}, "Id": f"{function}EveryMinuteLambdaTarget"}
    return {"ScheduleExpression": "rate(1 minute)", "Targets": [target]}


def once(function: str) -> dict:
    """All properties of how a job is started: what fails, or waits, is done by the next minute's run."""
    limits = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60, "DestinationConfig": {}}
    return {"FunctionName": {"Ref": function}, "Qualifier": "$LATEST", **limits}


def differing(kind: str, should: dict[str, dict], resources: dict) -> list[str]:
    """Resources of a type that are not exactly those."""
    found = {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}
    names = sorted(found.keys() | should.keys())
    return [f"{n}: {found.get(n)}, not {should.get(n)}" for n in names if found.get(n) != should.get(n)]


def functions(resources: dict) -> list[str]:
    given = {n: r["Properties"] for n, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}
    variables = {name: function["Environment"]["Variables"] for name, function in given.items()}
    common = {name: value for name, value in variables["Fallback"].items() if name in COMMON}
    found = [f"{name}: not traced" for name, function in given.items() if function.get("TracingConfig") != {"Mode": "Active"}]
    if common.keys() != COMMON or given.keys() != OWN.keys():
        found.append(f"functions, or what all of them are told, are not those of the table: {sorted(given)}, {sorted(common)}")
    for name in sorted(given.keys() & OWN.keys()):
        should = common | OWN[name]
        wrong = [v for v in sorted(variables[name].keys() | should.keys()) if variables[name].get(v) != should.get(v)]
        found += [f"{name}: {variable} is {variables[name].get(variable)}, not {should.get(variable)}" for variable in wrong]
    return found


def faults(template: dict) -> list[str]:
    """What is not as the tables say."""
    resources = template["Resources"]
    found = functions(resources)
    found += differing("AWS::Events::Rule", {f"{name}EveryMinute": rule(name) for name in EVERY_MINUTE}, resources)
    starts = {f"{name}EventInvokeConfig": once(name) for name in EVERY_MINUTE}
    found += differing("AWS::Lambda::EventInvokeConfig", starts, resources)
    found += differing("AWS::SQS::Queue", {name: queue(*row) for name, row in QUEUES.items()}, resources)
    for name, resource in resources.items():
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if policies != (("RetainExceptOnCreate", "Retain") if name in KEPT else (None, None)):
            found.append(f"{name}: {policies} when it is deleted or replaced")
        if resource["Type"] == "AWS::Lambda::EventSourceMapping" and "Enabled" in resource["Properties"]:
            found.append(f"{name}: is switched on or off by the template")
    return found


def _set(name: str, *path: str, value):
    def worsen(resources: dict) -> None:
        place = resources[name]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return worsen


VARIABLES = ("Properties", "Environment", "Variables")

# Each of these must be found out.
WORSE = [
    ("a log that goes with the stack", _set("EventsTable", "DeletionPolicy", value="Delete")),
    ("a name that stays taken", _set("EventsTable", "DeletionPolicy", value="Retain")),
    ("metrics once a day", _set("MetricsEveryMinute", "Properties", "ScheduleExpression", value="rate(1 day)")),
    ("no seals", _set("AuditSealEveryMinute", "Properties", "State", value="DISABLED")),
    ("stale runs", _set("MetricsEventInvokeConfig", "Properties", "MaximumEventAgeInSeconds", value=21_600)),
    ("no consumer", _set("ConsumerQueue", "Properties", "Enabled", value=False)),
    ("no traces", _set("Consumer", "Properties", "TracingConfig", value={"Mode": "PassThrough"})),
    ("commands among events", _set("DeactivateUser", *VARIABLES, "TORALE_COMMANDS_QUEUE_URL", value={"Ref": "EventsQueue"})),
    ("no witness", _set("AuditSeal", *VARIABLES, "RUST_LOG", value={"Ref": "LogLevel"})),
    ("another key", _set("AuditSeal", *VARIABLES, "AUDIT_KMS_KEY_ID", value="alias/other")),
    ("a secret for everybody", _set("OpenApi", *VARIABLES, "CLERK_SECRET_KEY", value={"Ref": "ClerkSecretKey"})),
    ("dead letters for a minute", _set("EventsDeadLetters", "Properties", "MessageRetentionPeriod", value=60)),
    ("dead letters at once", _set("EventsQueue", "Properties", "RedrivePolicy", "maxReceiveCount", value=1)),
]
