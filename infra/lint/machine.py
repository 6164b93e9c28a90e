"""The state machine of rebuilds, run with every input that matters.

A small interpreter knows as much of Amazon States Language as the machine uses.
"""

import json
import re

# Input; whether the comparison finds the generations equal (None: it always fails); the state in
# which it must end.
CASES = [
    ({}, True, "Built"),
    ({}, False, "Built"),
    ({"lanes": 4}, None, "Built"),
    ({"promote": False, "accept_differences": True}, False, "Built"),
    ({"promote": True}, True, "Live"),
    ({"promote": True}, False, "Differs"),
    ({"promote": True}, None, "Differs"),
    ({"promote": True, "accept_differences": True}, False, "Live"),
    ({"lanes": 4, "promote": True, "accept_differences": True}, None, "Live"),
]
STEPS = ["begin", "build", "catch_up", "compare", "promote"]
MERGE = re.compile(r"States\.JsonMerge\((\S+), (\S+), false\)")


class Failure(Exception):
    """A task failed."""


class Worker:
    """Answers as functions/replay does: each step but the first fails once, and takes two calls."""

    def __init__(self, equal: bool | None):
        self.equal, self.calls = equal, []

    def __call__(self, payload: dict) -> dict:
        step, before = payload["step"], len([call for call in self.calls if call["step"] == payload["step"]])
        self.calls.append(payload)
        if step != "begin" and (payload["generation"] != "g2" or before == 0 or (step == "compare" and self.equal is None)):
            raise Failure(step)
        return {"generation": "g2", "done": step in ("begin", "compare") or before > 1, "wait_seconds": 1, "equal": self.equal}


class Run:
    """One execution."""

    def __init__(self, given: dict, worker: Worker):
        self.given, self.worker = given, worker

    def read(self, path: str, data):
        """The value at a path of the data."""
        if merged := MERGE.fullmatch(path):
            return self.read(merged[1], data) | self.read(merged[2], data)
        if path == "$$.Execution.Input":
            return self.given
        if not re.fullmatch(r"\$(\.\w+)*", path):
            raise ValueError(f"{path}: this interpreter does not know such paths")
        for key in path.split(".")[1:]:
            data = data[key]
        return data

    def payload(self, template: dict | None, data):
        if template is None:
            return data
        return {k.removesuffix(".$"): self.read(v, data) if k.endswith(".$") else v for k, v in template.items()}

    def task(self, state: dict, data) -> dict:
        retries = sum(retry["MaxAttempts"] for retry in state.get("Retry", []))
        for left in range(retries, -1, -1):
            try:
                return self.worker(self.payload(state.get("Parameters"), data))
            except Failure:
                if left == 0:
                    raise
        raise AssertionError

    def end(self, machine: dict, data) -> str:
        """The state in which it ends."""
        name = machine["StartAt"]
        for _ in range(100):
            state, result = machine["States"][name], data
            name = state.get("Next")
            match state["Type"]:
                case "Succeed" | "Fail":
                    return next(n for n, s in machine["States"].items() if s is state)
                case "Choice":
                    met = [c["Next"] for c in state["Choices"] if self.read(c["Variable"], data) is c["BooleanEquals"]]
                    name = met[0] if met else state["Default"]
                case "Wait":
                    self.read(state["SecondsPath"], data)
                case "Pass":
                    result = state.get("Result") or self.payload(state.get("Parameters"), data)
                case "Map":
                    for item in self.read(state["ItemsPath"], data):
                        self.end(state["ItemProcessor"], self.payload(state["ItemSelector"], data) | {"item": item})
                case "Task":
                    try:
                        result = self.task(state, data)
                    except Failure:
                        if "Catch" not in state:
                            raise
                        state, name, result = state["Catch"][0], state["Catch"][0]["Next"], {}
            into = state.get("ResultPath", "$")
            data = result if into == "$" else data if into is None else data | {into.removeprefix("$."): result}
        raise ValueError("it does not end")


def findings(template: dict) -> list[str]:
    """Inputs with which the machine does not end, or not take the steps, as it should."""
    properties, found = template["Resources"]["ReplayMachine"]["Properties"], []
    machine = json.loads("\n".join(properties["DefinitionString"]["Fn::Join"][1]))
    for given, equal, should in CASES:
        worker = Worker(equal)
        try:
            end = Run(given, worker).end(machine, dict(given))
        except (Failure, KeyError, ValueError) as error:
            end = repr(error)
        steps = list(dict.fromkeys(call["step"] for call in worker.calls))
        lanes = worker.calls[0].get("lanes") if worker.calls else None
        if (end, steps, lanes) != (should, STEPS if should == "Live" else STEPS[:-1], given.get("lanes")):
            found.append(f"ReplayMachine with {given}, equal {equal}: {end} by {steps} with {lanes} lanes, not {should}")
    return found


def _replace(old: str, new: str):
    def worsen(resources: dict) -> None:
        lines = resources["ReplayMachine"]["Properties"]["DefinitionString"]["Fn::Join"][1]
        text = "\n".join(lines)
        worse = re.sub(old, new, text, count=1)
        assert worse != text, old
        lines[:] = worse.split("\n")

    return worsen


# Each of these must be noticed.
WORSE = [
    ("it promotes without being asked", _replace(r'"BooleanEquals": false', '"BooleanEquals": true')),
    ("it promotes a generation that differs", _replace(r'"Default": "Differs"', '"Default": "Promote"')),
    ("an unknown state", _replace(r'"Next": "HasCaughtUp"', '"Next": "CaughtUp"')),
    ("the first failure ends it", _replace(r'"MaxAttempts": 10', '"MaxAttempts": 0')),
    ("input that is ignored", _replace(r"\$\$\.Execution\.Input", "$.defaults")),
]
