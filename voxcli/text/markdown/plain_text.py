"""The plain words of a block of Markdown: which blanks stay, and how wrapped lines are joined."""

from voxcli.text.characters import is_cjk

_BLANKS = " \t"
_MOST_BLANKS = 300
_CLINGING = ",.;:!?)"


class Prose:
    """Collects what is said of one block after another."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._last = ""  # the last character said in this block
        self._blanks = ""  # not said yet: they are dropped at the end of a line
        self._joint = ""  # what a line break before the next word will be
        self._squeeze = False  # something between two blanks was left out

    def say(self, text: str) -> None:
        if self._squeeze or self._joint or not self._last:
            text = text.lstrip(_BLANKS)
        if not text:
            return
        body = text.rstrip(_BLANKS)
        if self._squeeze and body[0] in _CLINGING:
            self._blanks = ""
        self._squeeze = False
        if body:
            if self._last:
                self._out.append(self._joint_before(body[0]) + self._blanks)
            self._out.append(body)
            self._last, self._joint, self._blanks = body[-1], "", ""
        self._blanks += text[len(body) :]
        if len(self._blanks) > _MOST_BLANKS:
            self._say_blanks()

    def break_line(self, *, hard: bool = False) -> None:
        """Take the end of a line. Two blanks before it or a backslash make it a hard one."""
        self._joint = "\n" if hard or len(self._blanks) > 1 or self._joint == "\n" else " "
        self._blanks = ""

    def leave_out(self, *, blank: bool) -> None:
        """Note that something is not said. Of the blanks on either side one is enough; `blank` asks for one."""
        if blank and not self._blanks:
            self._blanks = " "
        self._squeeze = self._squeeze or bool(self._blanks)

    def pause(self) -> None:
        """Say the blank after the last word as well, because the writer has paused and the word is complete."""
        if self._last and (self._blanks or (self._joint and not is_cjk(self._last))):
            self._blanks = self._blanks or self._joint
            self._say_blanks()
            self._squeeze, self._joint = True, ""

    def end_block(self) -> None:
        self._last = self._blanks = self._joint = ""
        self._squeeze = False

    def said(self) -> str:
        """Take out what has been said."""
        said, self._out = "".join(self._out), []
        return said

    def _say_blanks(self) -> None:
        self._out.append(self._blanks)
        self._last, self._blanks = " ", ""

    def _joint_before(self, first: str) -> str:
        if self._joint == " " and (self._last.isspace() or (is_cjk(self._last) and is_cjk(first))):
            return ""
        return self._joint
