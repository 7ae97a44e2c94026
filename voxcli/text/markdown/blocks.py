"""Block structure of Markdown: the kind of a line, by its beginning or as a whole."""

import re
from enum import Enum, auto

MAX_UNDECIDED = 1000
"""Characters after which an undecided line is taken for text."""

_BULLETS = "•◦‣▪"
# "---", "| - | - |" and "- item" begin alike.
_RULE_SO_FAR = re.compile(r"[-|:\s]+|[*\s]+|[_\s]+")
_BULLET = re.compile(rf"[-*+][ \t]|[{_BULLETS}]")
_NUMBER = re.compile(r"(\d{1,9})[.)][ \t]")
_NUMBER_SO_FAR = re.compile(r"\d{1,9}[.)]?")
_TASK = re.compile(r"\[[ xX]\][ \t]")
_TASK_SO_FAR = re.compile(r"\[(?:[ xX]\]?)?")
_LABEL = r"\[(?P<label>(?:[^\[\]\\\n]|\\.){1,200})\]:"
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:")
_DEFINITION = re.compile(
    rf"{_LABEL}[ \t]*(?:<[^<>]*>|\S*[./#:]\S+|#\S+)(?:[ \t]+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?[ \t]*"
)
_DEFINITION_SO_FAR = re.compile(
    r"\[(?:[^\[\]\\\n]|\\.){0,200}\\?(?:\](?::[ \t]*(?:\S*|\S*[./#:]\S+[ \t]+(?:[\"'(].*)?)?)?)?"
)
_ALERT = re.compile(r"\[![A-Za-z]+\][-+]?[ \t]*")
_CONTAINER = re.compile(r":{3,}[ \t]*\{?[\w.-]*\}?.{0,60}")
_ATTRIBUTES = re.compile(r"[ \t]*\{[#.:][^{}]*\}\Z")
_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)")
_RULE = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*")
_UNDERLINE = re.compile(r"=+|-+")
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?[ \t]*")
_ESCAPED_BAR = re.compile(r"(`+).+?\1|\\\|")
_BAR = re.compile(r"(?<!\\)\|")
_FENCE = re.compile(r"(?P<fence>`{3,})[^`]*|(?P<tildes>~{3,}).*")
_FRONT_MATTER = re.compile(r"[\w.-]+[ \t]*(?::(?:[ \t].*)?|=.*)|\[+[\w.-]+\]+|[ \t].*|-[ \t].*|#.*")


class Start(Enum):
    """The kind of a line, by its first characters."""

    UNDECIDED = auto()
    """More characters are needed."""
    WHOLE = auto()
    """The whole line is needed."""
    QUOTE = auto()
    BULLET = auto()
    NUMBER = auto()
    TASK = auto()
    TEXT = auto()


def start_of(line: str, *, inside: bool, in_list: bool, item: bool) -> tuple[Start, int]:
    """Return the kind of a line by its beginning, and the length of its marker.

    Called again with each new character, so the result does not depend on how the text was cut.

    Args:
        line: the beginning of the line, without leading white space.
        inside: whether a paragraph is open.
        in_list: whether the paragraph is in a list.
        item: whether a bullet precedes it.
    """
    first = line[:1]
    if not first:
        return Start.UNDECIDED, 0
    if first == ">":
        return Start.QUOTE, 1
    if first.isdigit():
        if number := _NUMBER.match(line):
            # A wrapped line that begins with a year and a full stop is not a list item.
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
        if (first == "|" and not _RULE_SO_FAR.fullmatch(line)) or line.startswith(":::"):
            return Start.WHOLE
        undecided = _RULE_SO_FAR.fullmatch(line) is not None or line in ("+", "++", "+++")
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
    """Whether a line is a thematic break, or underlines the paragraph before it."""
    return _RULE.fullmatch(line) is not None or (inside and _UNDERLINE.fullmatch(line) is not None)


def heading_title(line: str) -> str | None:
    """Return the text of a heading without its # marks; None if the line is not a heading."""
    heading = _HEADING.match(line)
    if heading is None:
        return None
    title = _ATTRIBUTES.sub("", line[heading.end() :].strip())
    unmarked = title.rstrip("#")
    return unmarked.rstrip() if not unmarked or unmarked[-1].isspace() else title


def fence_of(line: str) -> str | None:
    """Return the run of characters that opens a code block; None if the line does not."""
    fence = _FENCE.fullmatch(line)
    return (fence["fence"] or fence["tildes"]) if fence else None


def is_table_delimiter(line: str) -> bool:
    return "|" in line and _DELIMITERS.fullmatch(line) is not None


def cells_of(line: str, *, in_table: bool) -> list[str] | None:
    """Return the cells of a table row; None if the line is not one."""
    bars = len(_BAR.findall(line))
    framed = bars > 1 and line[0] == "|" and line[-1] == "|"
    if not framed and not (in_table and bars):
        return None
    return [_ESCAPED_BAR.sub(_bar_in_cell, cell.strip()) for cell in _BAR.split(line)]


def _bar_in_cell(bar: re.Match[str]) -> str:
    return bar[0].replace("\\|", "|") if bar[1] else "&#124;"


def is_footnote(line: str) -> bool:
    return _FOOTNOTE.match(line) is not None


def defined_label(line: str) -> str | None:
    """Return the label that a line defines as a link reference; None if it defines none."""
    definition = _DEFINITION.fullmatch(line)
    return definition["label"] if definition else None


def without_alert(line: str) -> str:
    """Leave out the kind of a quote that its first line names, as in "[!NOTE]"."""
    return _ALERT.sub("", line, count=1) if _ALERT.match(line) else line


def is_container(line: str) -> bool:
    """Whether a line begins or ends a block of another kind, as in ":::note"."""
    return _CONTAINER.fullmatch(line) is not None


def is_front_matter(line: str) -> bool:
    """Whether a line may be YAML or TOML."""
    return _FRONT_MATTER.fullmatch(line) is not None
