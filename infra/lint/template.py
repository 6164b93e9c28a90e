"""Checks the SAM template and what it becomes in CloudFormation, offline. Needs cfn-lint and aws-sam-translator."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

sys.path.append(str(Path(__file__).parent.parent))

import costs  # noqa: E402
import deployment  # noqa: E402
import machine  # noqa: E402
import observability  # noqa: E402
import permissions  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = ROOT / "infra/template.yaml"
# sam takes any key without a word, known or not. With a template named for it, deploy would upload what was not built.
SAMCONFIG = {
    "global": {"stack_name"},
    "build": {"template_file", "beta_features"},
    "validate": {"template_file"},
    "deploy": {"capabilities", "confirm_changeset", "resolve_s3", "region", "profile", "parameter_overrides"},
}


class NoManagedPolicies:
    """No policy of AWS's own is used, so none needs to be looked up."""

    def load(self):
        return {}


def expanded() -> dict:
    """The CloudFormation template; code that has not been built yet stands at a made-up place."""
    template = yaml_parse(TEMPLATE.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, NoManagedPolicies())


def linted(template: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expanded.json"
        path.write_text(json.dumps(template))
        lint = ["cfn-lint", "--non-zero-exit-code", "warning"]
        plain = subprocess.run([*lint, "--", str(TEMPLATE)], check=False)
        # W2001: parameters that only the unexpanded template uses.
        full = subprocess.run([*lint, "--ignore-checks", "W2001", "--", str(path)], check=False)
    return ["cfn-lint has something to say"] if plain.returncode or full.returncode else []


def samconfig() -> list[str]:
    commands = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    found = {(command, key) for command, of in commands.items() for key in of["parameters"]}
    known = {(command, key) for command, keys in SAMCONFIG.items() for key in keys}
    return [f"samconfig.toml: is {key} a setting of {command}?" for command, key in sorted(found - known)]


def checked(template: dict) -> list[str]:
    """What is wrong with permissions, alarms, settings and the state machine."""
    checks = [permissions.faults(template), observability.faults(template, ROOT)]
    return sum(checks, []) + deployment.faults(template) + machine.faults(template)


def unnoticed(template: dict) -> list[str]:
    """Changes for the worse that these checks would let through: there must be none."""
    faults = []
    for name, worsen in [*permissions.WORSE, *observability.WORSE, *deployment.WORSE, *machine.WORSE]:
        worse = copy.deepcopy(template)
        worsen(worse["Resources"])
        if not checked(worse):
            faults.append(f"nobody notices: {name}")
    return faults


def main() -> int:
    template = expanded()
    faults = linted(template) + samconfig() + checked(template) + unnoticed(template) + costs.faults()
    faults += permissions.documented((ROOT / "docs/operations.md").read_text())
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
