"""Checks the SAM template and what it becomes in CloudFormation, offline.
Needs cfn-lint, aws-sam-translator and SAM CLI.

    template.py           checks everything
    template.py --renew   writes expanded.yaml anew, after a change of the template that is meant

| module | rules |
|---|---|
| permissions.py | who may do what, against infra/rights.toml |
| alarms.py | everything that can go wrong raises an alarm, soon |
| thresholds.py | the documented thresholds are those of infra/thresholds.json |
| parameters.py | examples of parameters in the documents arrive as they are written; a changed one takes effect |
| machine.py | the state machine of rebuilds ends where it should, whatever its input |
| checklist.py | the first deployment's checklist has the template's numbers and tables, the page the code's metrics |
| expansion.py | everything else, against the committed extract expanded.yaml |

Each module has changes for the worse that its own rules must notice.
"""

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

import alarms  # noqa: E402
import checklist  # noqa: E402
import costs  # noqa: E402
import expansion  # noqa: E402
import machine  # noqa: E402
import parameters  # noqa: E402
import permissions  # noqa: E402
import thresholds  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = ROOT / "infra/template.yaml"
# sam accepts unknown keys silently. `template_file` for deploy would upload the unbuilt template.
SAMCONFIG = {
    "global": {"stack_name"},
    "build": {"template_file", "beta_features"},
    "validate": {"template_file"},
    "deploy": {"capabilities", "confirm_changeset", "resolve_s3", "region", "profile", "parameter_overrides"},
}


class NoManagedPolicies:
    """The translator looks up AWS's managed policies; the template uses none."""

    def load(self):
        return {}


def expanded() -> dict:
    """The CloudFormation template, with a made-up address for code that is not built."""
    template = yaml_parse(TEMPLATE.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, NoManagedPolicies())


def cfn_lint(template: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expanded.json"
        path.write_text(json.dumps(template))
        lint = ["cfn-lint", "--non-zero-exit-code", "warning"]
        plain = subprocess.run([*lint, "--", str(TEMPLATE)], check=False)
        # W2001, unused parameters: only the unexpanded template uses them.
        full = subprocess.run([*lint, "--ignore-checks", "W2001", "--", str(path)], check=False)
    return ["cfn-lint: see above"] if plain.returncode or full.returncode else []


def samconfig() -> list[str]:
    commands = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    found = {(command, key) for command, of in commands.items() for key in of["parameters"]}
    known = {(command, key) for command, keys in SAMCONFIG.items() for key in keys}
    return [f"samconfig.toml: is {key} a setting of {command}?" for command, key in sorted(found - known)]


RULES = {
    permissions: permissions.findings,
    alarms: lambda template: alarms.findings(template, ROOT),
    thresholds: thresholds.findings,
    machine: machine.findings,
    parameters: parameters.findings,
    expansion: expansion.findings,
}


def unnoticed(template: dict) -> list[str]:
    """Changes for the worse that their module does not notice."""
    found = []
    for module, findings in RULES.items():
        for name, worsen in module.WORSE:
            worse = copy.deepcopy(template)
            worsen(worse["Resources"])
            if not findings(worse):
                found.append(f"{module.__name__}.py does not notice: {name}")
    return found


def main() -> int:
    template = expanded()
    if sys.argv[1:] == ["--renew"]:
        expansion.renew(template)
    found = cfn_lint(template) + samconfig() + costs.findings()
    for findings in RULES.values():
        found += findings(template)
    found += unnoticed(template)
    found += permissions.documented((ROOT / "docs/operations/restore.md").read_text())
    operations = (ROOT / "docs/operations.md").read_text()
    found += thresholds.documented(operations)
    found += [*checklist.documented(template, operations), *checklist.unnoticed(template, operations)]
    found += [*checklist.emptied(template, operations), *checklist.unnoticed_queues(template, operations)]
    found += [*parameters.documented(template, parameters.pages(ROOT)), *parameters.unnoticed(template)]
    found += [*checklist.listed(operations, ROOT), *checklist.unnoticed_metrics(operations, ROOT)]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
