"""The expanded template against the committed extract `expanded.yaml`: no change of what
CloudFormation receives goes unseen. `template.py --renew` writes the extract anew.

The extract leaves out what other checks hold: permissions (rights.toml), the state machine, the
dashboard and the routes. `(all)` is what all resources of a type have in common, `<Name>` a
reference, `<Name.Attribute>` an attribute.
"""

from pathlib import Path

import yaml

EXTRACT = Path(__file__).parent / "expanded.yaml"
HEADER = "# Made by infra/lint/template.py --renew: what infra/template.yaml becomes in CloudFormation.\n"
ELSEWHERE = {
    "AWS::ApiGatewayV2::Api",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::StepFunctions::StateMachine",
}
# Of no consequence: where the code is, texts for people, what permissions.py holds.
LEFT_OUT = {"AlarmDescription", "Code", "KeyPolicy", "Metadata", "ResourcePolicy", "Role", "Type"}


class Dumper(yaml.SafeDumper):
    """YAML without references to earlier parts."""

    def ignore_aliases(self, data) -> bool:
        return True


def short(value):
    """A value with CloudFormation's functions in a shorter form."""
    match value:
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Sub": str(text)}:
            return f"<{text}>"
        case {"Name": str(name), "Value": each} if len(value) == 2:
            return f"{name} = {short(each)}"
        case {"Fn::If": [condition, yes, no]}:
            return f"<{condition} ? {short(yes)} : {short(no)}>"
        case dict():
            return {key: short(each) for key, each in value.items()}
        case list():
            return [short(each) for each in value]
    return value


def common(values: list[dict]) -> dict:
    """What all of several dictionaries have in common, at any depth."""
    first, found = values[0], {}
    for key in first:
        if all(value.get(key) == first[key] for value in values):
            found[key] = first[key]
        elif all(isinstance(value.get(key), dict) for value in values):
            found |= {key: part} if (part := common([value[key] for value in values])) else {}
    return found


def without(value: dict, part: dict) -> dict:
    """A dictionary without what it has in common with others."""
    rest = {key: each for key, each in value.items() if key not in part}
    return rest | {key: without(value[key], part[key]) for key in part if value[key] != part[key]}


def extract(template: dict) -> dict[str, dict]:
    """Resources by type and name."""
    by_type: dict[str, dict] = {}
    for name, resource in sorted(template["Resources"].items()):
        if resource["Type"] not in ELSEWHERE:
            fields = {**resource, **resource.get("Properties", {})}
            kept = {key: fields[key] for key in sorted(fields.keys() - LEFT_OUT - {"Properties"})}
            by_type.setdefault(resource["Type"], {})[name] = short(kept)
    for resources in by_type.values():
        if len(resources) > 1 and (shared := common(list(resources.values()))):
            resources |= {name: without(resource, shared) for name, resource in resources.items()}
            resources["(all)"] = shared
    return by_type


def renew(template: dict) -> None:
    """Writes the extract: a resource in a few lines."""
    text = HEADER
    for kind, resources in sorted(extract(template).items()):
        text += f"\n{kind}:\n"
        for name, resource in sorted(resources.items()):
            flow = yaml.dump({name: resource}, Dumper=Dumper, default_flow_style=True, width=106).strip()
            text += "".join(f"  {line}\n" for line in flow.removeprefix("{").removesuffix("}").splitlines())
    EXTRACT.write_text(text)


def leaves(value, path: str = "") -> dict[str, object]:
    """Every single value by its path."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {where: leaf for key, each in items for where, leaf in leaves(each, f"{path} ▸ {key}").items()}
    return {path.removeprefix(" ▸ "): value}


def findings(template: dict) -> list[str]:
    """Every value that differs from the committed extract."""
    found, committed = leaves(extract(template)), leaves(yaml.safe_load(EXTRACT.read_text()))
    paths = sorted(path for path in found.keys() | committed.keys() if found.get(path) != committed.get(path))
    differing = [f"{path}: {found.get(path)!r}, in {EXTRACT.name} {committed.get(path)!r}" for path in paths]
    return [*differing, "if that is meant: infra/lint/template.py --renew"] if differing else []


def _set(name: str, *path: str, value):
    def worsen(resources: dict) -> None:
        place = resources[name]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return worsen


VARIABLES = ("Properties", "Environment", "Variables")

# Each of these must be noticed.
WORSE = [
    ("a log that is deleted with the stack", _set("EventsTable", "DeletionPolicy", value="Delete")),
    ("metrics once a day", _set("MetricsEveryMinute", "Properties", "ScheduleExpression", value="rate(1 day)")),
    ("a consumer without messages", _set("ConsumerQueue", "Properties", "Enabled", value=False)),
    ("a function without traces", _set("Consumer", "Properties", "TracingConfig", "Mode", value="PassThrough")),
    ("a secret for a public function", _set("OpenApi", *VARIABLES, "CLERK_SECRET_KEY", value={"Ref": "Key"})),
    ("short-lived dead letters", _set("EventsDeadLetters", "Properties", "MessageRetentionPeriod", value=60)),
    ("another threshold of an alarm", _set("ErrorRateAlarm", "Properties", "Threshold", value=50)),
]
