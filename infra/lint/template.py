"""Lints the SAM template and what it becomes in CloudFormation, offline. Needs cfn-lint and aws-sam-translator."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = Path(__file__).parent.parent / "template.yaml"


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


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expanded.json"
        path.write_text(json.dumps(expanded()))
        lint = ["cfn-lint", "--non-zero-exit-code", "warning"]
        plain = subprocess.run([*lint, "--", str(TEMPLATE)], check=False)
        # W2001: parameters that only the unexpanded template uses.
        full = subprocess.run([*lint, "--ignore-checks", "W2001", "--", str(path)], check=False)
        return plain.returncode or full.returncode


if __name__ == "__main__":
    sys.exit(main())
