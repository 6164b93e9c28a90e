"""The record of every decision of the emulator about a role or a user, one JSON object a line.

It is written in the emulator's process and read by the check.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

# Where the record is; the check sets it for the emulator.
FILE = "ACCOUNT_RECORD"
# Sessions of roles, and a user, with this name are the check's own, whose calls say nothing about what is used.
TRYING = "trying"
# An action, or a key, of a call that the emulator or its shims could not make out: nothing was decided about it.
NOT_UNDERSTOOD = "not understood"
_LOCK = threading.Lock()


def write(entry: dict[str, Any]) -> None:
    """Appends a decision."""
    line = json.dumps(entry)
    with _LOCK, Path(os.environ[FILE]).open("a") as file:
        file.write(line + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """All decisions so far, those about the check's own calls left out. The last line may be incomplete."""
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [entry for entry in map(json.loads, lines) if entry["session"] != TRYING]
