"""What a line of Markdown is, by its beginning or as a whole."""

import re
from enum import Enum, auto

LONGEST_LINE = 1000
"""A line that still might be anything after so many characters is text."""

_BULLETS = "•◦‣▪"
# "---", "| - | - |" and "- item" begin alike.
_RULE_SO_FAR = re.compile(r"[-|:\s]+|[*\s]+|[_\s]+")
_BULLET = re.compile(rf"[-*+][ \t]|[{_BULLETS}]")
_NUMBER = re.compile(r"(\d{1,9})[.)][ \t]")
_NUMBER_SO_FAR = re.compile(r"\d{1,9}[.)]?")
_TASK = re.compile(r"\[[ xX]\][ \t]")
_TASK_SO_FAR = re.compile(r"\[(?:[ xX]\]?)?")
_LABEL = r"\[[^\[\]\n]{1,200}\]:"
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:")
_DEFINITION = re.compile(
    rf"{_LABEL}[ \t]*(?:<[^<>]*>|\S*[./#:]\S+|#\S+)(?:[ \t]+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?[ \t]*"
)
_DEFINITION_SO_FAR = re.compile(r"\[[^\[\]\n]{0,200}(?:\](?::[ \t]*(?:\S*|\S*[./#:]\S+[ \t]+(?:[\"'(].*)?)?)?)?")
_ALERT = re.compile(r"\[![A-Za-z]+\]")
_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)")
_RULE = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*")
_UNDERLINE = re.compile(r"=+|-+")
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?[ \t]*")
_BAR = re.compile(r"(?<!\\)\|")
_FENCE = re.compile(r"(?P<fence>`{3,})[^`]*|(?P<tildes>~{3,}).*")
_YAML = re.compile(r"[\w.-]+[ \t]*:(?:[ \t].*)?|[ \t].*|-[ \t].*|#.*")


class Start(Enum):
    """What the first characters of a line make of it."""

    UNDECIDED = auto()
    """More of the line is needed."""
    WHOLE = auto()
    """All of the line is needed."""
    QUOTE = auto()
    BULLET = auto()
    NUMBER = auto()
    TASK = auto()
    TEXT = auto()


def start_of(line: str, *, inside: bool, in_list: bool, item: bool) -> tuple[Start, int]:
    """Say what a line is by its beginning, and how long the marker is.

    It is asked anew with every character, so that the answer never depends on how the text arrived.

    Args:
        line: its beginning, without white space before it.
        inside: whether a paragraph is open.
        in_list: whether that is in a list.
        item: whether a bullet stands before it.
    """
    first = line[:1]
    if not first:
        return Start.UNDECIDED, 0
    if first == ">":
        return Start.QUOTE, 1
    if first.isdigit():
        if number := _NUMBER.match(line):
            # A wrapped line that begins with a year and a full stop is no item.
            listed = not inside or in_list or number[1] == "1"
            return (Start.NUMBER if listed else Start.TEXT), number.end()
        return (Start.UNDECIDED if _NUMBER_SO_FAR.fullmatch(line) else Start.TEXT), 0
    if item and _TASK.match(line):
        return Start.TASK, 3
    return _by_symbol(line, inside=inside, item=item), 1


def _by_symbol(line: str, *, inside: bool, item: bool) -> Start:
    first = line[0]
    undecided = False
    if first in "-*_|:+" or first in _BULLETS:
        if _BULLET.match(line) and not (first in "-*" and _RULE_SO_FAR.fullmatch(line)):
            return Start.BULLET
        if first == "|" and not _RULE_SO_FAR.fullmatch(line):
            return Start.WHOLE
        undecided = _RULE_SO_FAR.fullmatch(line) is not None or line == "+"
    elif first == "=":
        undecided = inside and not line.strip("= \t")
    elif first == "#":
        if re.match(r"#{1,6}[ \t]", line):
            return Start.WHOLE
        undecided = len(line) <= 6 and not line.strip("#")
    elif first in "`~":
        if line.startswith(first * 3):
            return Start.WHOLE
        undecided = not line.strip(first)
    elif first == "[" and not inside:
        if _FOOTNOTE.match(line):
            return Start.WHOLE
        undecided = _DEFINITION_SO_FAR.fullmatch(line) is not None or (
            item and _TASK_SO_FAR.fullmatch(line) is not None
        )
    return Start.UNDECIDED if undecided else Start.TEXT


def is_rule(line: str, *, inside: bool) -> bool:
    """Say whether a line is a rule, or underlines the paragraph before it."""
    return _RULE.fullmatch(line) is not None or (inside and _UNDERLINE.fullmatch(line) is not None)


def heading_title(line: str) -> str | None:
    """Return what a heading says, without the marks before and after it."""
    heading = _HEADING.match(line)
    if heading is None:
        return None
    title = line[heading.end() :].strip()
    unmarked = title.rstrip("#")
    return unmarked.rstrip() if not unmarked or unmarked[-1].isspace() else title


def fence_of(line: str) -> str | None:
    """Return the run of characters that opens a block of code."""
    fence = _FENCE.fullmatch(line)
    return (fence["fence"] or fence["tildes"]) if fence else None


def is_table_delimiter(line: str) -> bool:
    return "|" in line and _DELIMITERS.fullmatch(line) is not None


def cells_of(line: str, *, in_table: bool) -> list[str] | None:
    """Return the cells of a row, or None if the line is none."""
    bars = len(_BAR.findall(line))
    framed = bars > 1 and line[0] == "|" and line[-1] == "|"
    if not framed and not (in_table and bars):
        return None
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(line)]


def is_footnote(line: str) -> bool:
    return _FOOTNOTE.match(line) is not None


def is_unread(line: str, *, quoted: bool) -> bool:
    """Say whether a line defines where a link goes, or names the kind of a quoted note."""
    return _DEFINITION.fullmatch(line) is not None or (quoted and _ALERT.fullmatch(line) is not None)


def is_front_matter(line: str) -> bool:
    """Say whether a line may be one of YAML."""
    return _YAML.fullmatch(line) is not None
