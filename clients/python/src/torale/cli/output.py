"""Output: colour and the terminal's width if everything fits; plain lines of any width in a pipe."""

from __future__ import annotations

import json as jsonlib
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.style import Style
from rich.text import Text

A = TypeVar("A")

WIDE = 100_000
DAY = timedelta(days=1)
SECOND, MINUTE = 1_000, 60_000
UNITS = ((3_600, "h"), (60, "min"), (1, "s"))
# Unicode categories of controls, format characters, line separators and code points without a glyph.
HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
# Letters, marks and symbols that show nothing: fillers, joiners, variation selectors, a braille blank, a note's head.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]"
)


def show(answer: A, table: Callable[[A], RenderableType], *, json: bool) -> None:
    """Write an answer as JSON, or as a table."""
    if json:
        write_json(answer, indent=2)
    else:
        write(table(answer))


def write_json(value: object, *, indent: int | None = None) -> None:
    """Write JSON in UTF-8, whatever the terminal's encoding; invisible characters are escaped."""
    text = re.sub("[^\\x00-\\x7e]", _escaped_in_json, jsonlib.dumps(value, ensure_ascii=False, indent=indent)) + "\n"
    sys.stdout.flush()
    # JSON may hold a lone surrogate as an escape; it has no UTF-8.
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def write(shown: RenderableType) -> None:
    """Write a table or text for people."""
    console = Console(highlight=False, width=_width(shown))
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        print(line.rstrip())
    sys.stdout.flush()


def _width(shown: RenderableType) -> int:
    """The terminal's width; if a cell would be cut, any width: then the terminal breaks the lines."""
    if not sys.stdout.isatty():
        return WIDE
    width = shutil.get_terminal_size().columns
    wide = Console(width=WIDE)
    return width if Measurement.get(wide, wide.options, shown).minimum <= width else WIDE


def note(text: str) -> None:
    """Write one line to standard error."""
    if sys.stderr:
        print(visible(text), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    r"""A text in which every character can be seen; different texts stay different.

    Controls, invisible characters, unusual blanks, and blanks at either end are escaped as in Python
    (`\x1b`, `\u200b`), and so is the backslash.
    """
    inner = text.strip(" ")
    left = len(text) - len(text.lstrip(" "))
    right = len(text) - len(inner) - left
    shown = (_escaped(char) if char == "\\" or is_invisible(char) else char for char in inner)
    return r"\x20" * left + "".join(shown) + r"\x20" * right


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing, looks like a blank, or changes how others are shown."""
    category = unicodedata.category(char)
    return category in HIDDEN or (category == "Zs" and char != " ") or BLANK.match(char) is not None


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _escaped_in_json(char: re.Match[str]) -> str:
    return jsonlib.dumps(char[0])[1:-1] if is_invisible(char[0]) else char[0]


def cell(value: object, style: str | Style = "") -> Text:
    """A value as plain text, never interpreted as markup; a dash for None."""
    return Text("-" if value is None else visible(str(value)), style=style)


def link(text: str, url: str) -> Text:
    """A text with a link to a page, in terminals that support links."""
    return cell(text, Style(link=visible(url)))


def count(number: int) -> str:
    """A number with separators of thousands."""
    return f"{number:,}"


def duration(milliseconds: float | None) -> str:
    """A duration: `850 ms`, `4.1 s`, `2 min 5 s`."""
    if milliseconds is None:
        return "-"
    if milliseconds < SECOND:
        return f"{milliseconds:g} ms"
    if milliseconds < MINUTE:
        return f"{milliseconds / SECOND:.1f} s"
    minutes, seconds = divmod(round(milliseconds / SECOND), 60)
    return f"{minutes} min {seconds} s"


def when(text: str | None, now: datetime) -> str:
    """A time relative to now, `3 min ago` or `in 2 h`; day and minute in UTC if it is over a day away."""
    if text is None:
        return "-"
    # Python 3.10 does not parse `Z`.
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    away = abs(time - now)
    if away >= DAY:
        return time.strftime("%Y-%m-%d %H:%M")
    seconds = int(away.total_seconds())
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size or size == 1)
    return f"in {seconds // size} {unit}" if time > now else f"{seconds // size} {unit} ago"


def now() -> datetime:
    """The present time."""
    return datetime.now(timezone.utc)


def pairs(mapping: Mapping[str, object]) -> str:
    """Names and values: `hours=24 page=1`."""
    written = (value if isinstance(value, str) else jsonlib.dumps(value) for value in mapping.values())
    return " ".join(f"{name}={value}" for name, value in zip(mapping, written, strict=True))
