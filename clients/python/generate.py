"""Generates what the package has from elsewhere; with --check, only says whether it is current.

That is src/torale/_sync, from src/torale/_async, and src/torale/cli/thresholds.json, a copy of
infra/thresholds.json: a package cannot read files outside of it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from unasync import Rule, unasync_files

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "src" / "torale"
THRESHOLDS = HERE.parents[1] / "infra" / "thresholds.json"
COPY = PACKAGE / "cli" / "thresholds.json"
NAMES = {
    "AsyncAdmin": "Admin",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncToraleClient": "ToraleClient",
    "_async": "_sync",
    "aclose": "close",
    "asyncio": "time",
    "exchange_async": "exchange",
}
INIT = '"""The synchronous client, generated from the asynchronous one by generate.py: change that one."""\n'


def generate(target: Path) -> None:
    """Writes the synchronous modules into a folder."""
    sources = [str(path) for path in sorted((PACKAGE / "_async").glob("*.py"))]
    unasync_files(sources, [Rule(str(PACKAGE / "_async"), str(target), additional_replacements=NAMES)])
    (target / "__init__.py").write_text(INIT)
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--select", "I", "--fix", target], check=True)  # noqa: S603
    subprocess.run([*ruff, "format", "--quiet", target], check=True)  # noqa: S603


def text(path: Path) -> str | None:
    """The text of a file; None if there is none."""
    return path.read_text() if path.exists() else None


def stale(fresh: Path) -> list[str]:
    """The names of modules that differ from freshly generated ones."""
    names = {path.name for folder in (fresh, PACKAGE / "_sync") for path in folder.glob("*.py")}
    return sorted(name for name in names if text(fresh / name) != text(PACKAGE / "_sync" / name))


def main() -> None:
    """Generate or check."""
    if sys.argv[1:] != ["--check"]:
        generate(PACKAGE / "_sync")
        COPY.write_text(THRESHOLDS.read_text())
        return
    # Inside the package, so that the same formatting rules apply.
    with tempfile.TemporaryDirectory(dir=PACKAGE, prefix="_sync_") as folder:
        generate(Path(folder))
        differing = [f"_sync/{name}" for name in stale(Path(folder))]
    if text(COPY) != THRESHOLDS.read_text():
        differing.append("cli/thresholds.json")
    if differing:
        sys.exit(f"run generate.py: out of date: {', '.join(differing)}")


if __name__ == "__main__":
    main()
