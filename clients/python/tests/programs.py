"""Runs a program as its user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stack import Stack


def run(stack: Stack, *arguments: str | Path) -> str:
    """The output of a program, run as its user would run it."""
    settings = {"TORALE_API_URL": stack.url, "TORALE_API_KEY": stack.key}
    environment = {**os.environ, **settings, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout
