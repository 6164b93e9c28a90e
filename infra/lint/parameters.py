"""Parameters: what the documents tell people to pass to `sam deploy` arrives as it is written (SAM's own parser cuts
values off at a blank, without a word), and a parameter that changes in an installed stack takes effect there.
"""

import json
import re
import shlex
from pathlib import Path

MAPPING = "AWS::Lambda::EventSourceMapping"
OPTION = "--parameter-overrides "
# What stands for further parameters, or for any.
ANY = {"...", "Name"}


def findings(template: dict) -> list[str]:
    """Pollers that keep a concurrency which the template takes away: only an empty one removes it, says CloudFormation's
    reference of ScalingConfig, and provisioned mode is refused beside it.
    """
    resources = template["Resources"].items()
    scaling = {name: of["Properties"].get("ScalingConfig") for name, of in resources if of["Type"] == MAPPING}
    return [f"{name}: ScalingConfig may be absent" for name, of in scaling.items() if "AWS::NoValue" in json.dumps(of)]


def texts(page: str) -> list[str]:
    """The examples of a page: what follows the option, in code or in a line of a block, and other code that looks like
    a parameter.
    """
    joined = re.sub(r"\\\n\s*", "", page)
    code = re.findall(r"`([^`\n]+)`", joined)
    blocks = re.findall(rf"^[^`\n]*{OPTION}[^`\n]*$", joined, re.MULTILINE)
    given = [text.partition(OPTION)[2] for text in [*code, *blocks] if OPTION in text]
    # A command that follows is none of sam's arguments.
    given = [re.split(r" (?:&&|[|;]) |;", text)[0] for text in given]
    return given + [text for text in code if re.match(r"['\"]?[A-Z][a-z][A-Za-z]*=", text)]


def arrives(argument: str) -> str:
    """What is wrong with an argument, as the shell hands it to sam; nothing if it arrives whole."""
    # Here, since infra/account imports these modules too, without SAM CLI.
    import click
    from samcli.cli.types import CfnParameterOverridesType

    name, _, value = argument.partition("=")
    quoted = re.fullmatch(r'"(.*)"', value, re.DOTALL)
    wanted = {name: quoted[1] if quoted else value}
    try:
        found = CfnParameterOverridesType().convert((argument,), None, None)
    except click.BadParameter:
        return "is refused by sam"
    return "" if found == wanted else f"arrives as {found}"


def documented(template: dict, pages: dict[str, str]) -> list[str]:
    """Examples that do not arrive as they are written, and parameters that the template does not have."""
    known, found = template["Parameters"].keys() | ANY, []
    for where, page in pages.items():
        for argument in (argument for text in texts(page) for argument in shlex.split(text)):
            if argument not in ANY:
                fault = arrives(argument) if argument.partition("=")[0] in known else "is no parameter of the template"
                found += [f"{where}: {argument} {fault}"] if fault else []
    return found


def pages(root: Path) -> dict[str, str]:
    """All documents that name parameters."""
    files = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {str(file.relative_to(root)): file.read_text() for file in files}


def _absent(resources: dict) -> None:
    scaling = {"Fn::If": ["WithPollers", {"Ref": "AWS::NoValue"}, {"MaximumConcurrency": 5}]}
    resources["ConsumerQueue"]["Properties"]["ScalingConfig"] = scaling


# Each of these must be noticed.
WORSE = [("pollers beside a concurrency that stays", _absent)]
# Each of these, in a document, must be noticed.
WORSE_EXAMPLES = [
    "`PostgresUrl=`",
    "`'PostgresUrl= TemporalSync=false'`",
    "`sam deploy --parameter-overrides 'ClerkJwtKey=-----BEGIN PUBLIC KEY-----'`",
    "`sam deploy --parameter-overrides 'ClerkAuthorizedParties=https://a.example, https://b.example'; true`",
    "```sh\nsam deploy --parameter-overrides \\\n  TemporalSync=true PostgresUrl=\n```",
    "`sam deploy --parameter-overrides PostgresUri=postgresql://h/p`",
]


def unnoticed(template: dict) -> list[str]:
    """Examples that nobody could use and that are not noticed."""
    unseen = [example for example in WORSE_EXAMPLES if not documented(template, {"": example})]
    return [f"parameters.py does not notice: {example}" for example in unseen]
