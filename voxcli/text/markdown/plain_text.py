"""Plain text of Markdown blocks: which spaces are kept, and how wrapped lines are joined."""

from voxcli.text.characters import is_cjk

_BLANKS = " \t"
_MAX_BLANKS = 300
_NO_SPACE_BEFORE = ",.;:!?)"


class PlainText:
    """Collects the plain text of one block after another."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._last = ""  # the last character written in this block
        self._blanks = ""  # not written yet: dropped at the end of a line
        self._joint = ""  # what a line break before the next word becomes
        self._divides = False  # the last word ends with a hyphen
        self._squeeze = False  # something between two blanks was omitted

    def write(self, text: str) -> None:
        if self._squeeze or self._joint or not self._last:
            text = text.lstrip(_BLANKS)
        if not text:
            return
        body = text.rstrip(_BLANKS)
        if self._squeeze and body[0] in _NO_SPACE_BEFORE:
            self._blanks = ""
        self._squeeze = False
        if body:
            before = body[-2:-1] or ("" if self._blanks or self._joint else self._last)
            self._divides = body[-1] == "-" and before.isalpha()
            if self._last:
                self._out.append(self._joint_before(body[0]) + self._blanks)
            self._out.append(body)
            self._last, self._joint, self._blanks = body[-1], "", ""
        self._blanks += text[len(body) :]
        if len(self._blanks) > _MAX_BLANKS:
            self._write_blanks()

    def break_line(self, *, hard: bool = False) -> None:
        """End a line. It stays a line break after two blanks, a backslash, or a hyphen that may divide a word."""
        divides = self._divides and not self._blanks
        self._joint = "\n" if hard or divides or len(self._blanks) > 1 or self._joint == "\n" else " "
        self._blanks = ""

    def omit(self, *, blank: bool) -> None:
        """Omit something. Blanks on both sides become one; with `blank`, there is at least one."""
        if blank and not self._blanks:
            self._blanks = " "
        self._squeeze = self._squeeze or bool(self._blanks)

    def flush(self) -> None:
        """Write the blank after the last word as well: the writer has paused, so the word is complete."""
        if self._last and (self._blanks or (self._joint and not is_cjk(self._last))):
            self._blanks = self._blanks or self._joint
            self._write_blanks()
            self._squeeze, self._joint = True, ""

    def end_block(self) -> None:
        self._last = self._blanks = self._joint = ""
        self._squeeze = False

    def take(self) -> str:
        """Return the text written since the last call."""
        text, self._out = "".join(self._out), []
        return text

    def _write_blanks(self) -> None:
        self._out.append(self._blanks)
        self._last, self._blanks = " ", ""

    def _joint_before(self, first: str) -> str:
        if self._joint == " " and (self._last.isspace() or (is_cjk(self._last) and is_cjk(first))):
            return ""
        return self._joint
