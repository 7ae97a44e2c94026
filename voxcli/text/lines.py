"""Lines of a text that may still be arriving: decoration is left out, and words divided at a line's end are joined."""

import re

from voxcli.text.characters import properties_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONJUNCTIONS = _words("und oder bzw and or et ou y o e en of och og i lub")
"""After a hyphen that stands for a word left out: "Haupt- und Nebenstraße"."""
_FIRST_PARTS = _words(
    "well self half ex non all cross high low long short mid post pre anti semi quasi one two three four five "
    "six seven eight nine ten twenty thirty forty fifty sixty seventy eighty ninety first second third full "
    "part old new good best ill so hard soft fast slow open far near left right north south east west blue red "
    "green black white mother father brother sister son daughter great grand vice editor commander e x t"
)
_SECOND_PARTS = _words(
    "like free based time year years old made known term day up in out off law laws to of the on scale wide "
    "style class level size sized looking minded hearted eyed haired tempered being chief general fold mile "
    "hour minute month week page foot inch bit line end down over"
)
"""Parts of compounds that keep their hyphen: well-known, sugar-free."""

_DECORATION = re.compile(r"([=*~#_+^|<>])\1{2,}|^\s*-{3,}|-{3,}\s*$")


class SpokenLines:
    """Leaves out lines without letters or digits, such as `* * *`, which end a sentence but are not said.

    In plain text, a word divided at the end of a line is joined: "foolish-" and "ness" become "foolishness". The result
    does not depend on how the text was cut on its way.
    """

    def __init__(self, *, hyphens: bool) -> None:
        """hyphens: whether to join words divided at the end of a line."""
        self._hyphens = hyphens
        self._lead: list[str] | None = []  # the line so far, while it has no letters or digits
        self._word = ""  # the newest word, with its hyphens
        self._divided = ""  # a hyphen after that word, and what follows it
        self._spoke = False

    def feed(self, text: str) -> str:
        """Take more text; return what is certain."""
        out: list[str] = []
        for char in text:
            self._take(char, out)
        return "".join(out)

    def flush(self) -> str:
        """Return the rest of a word that may be divided, because the writer has paused."""
        _, _, rest = self._divided.partition("\n")
        divided = self._joined(rest.strip()) if rest.strip() else self._divided
        self._divided = self._word = ""
        return divided

    def finish(self) -> str:
        """Return the rest, because the text has ended. A text of nothing but signs is read."""
        lead = "".join(self._lead or ())
        self._lead = []
        return self.flush() + (lead if lead.isspace() or not self._spoke else "")

    def _take(self, char: str, out: list[str]) -> None:
        if self._divided:
            self._continue_divided(char, out)
            return
        if self._lead is not None:
            self._continue_lead(char, out)
            return
        out.append(char)
        if char == "\n":
            self._lead, self._word = [], ""
        elif self._hyphens:
            if char == "-" and self._word and self._word[-1] != "-":
                out.pop()
                self._divided = char
            else:
                self._word = self._word + char if char.isalnum() or char == "-" else ""

    def _continue_lead(self, char: str, out: list[str]) -> None:
        assert self._lead is not None
        if char == "\n":
            # The blank line that is left in its place ends a sentence.
            out += "\n" if "".join(self._lead).strip() else [*self._lead, char]
            self._spoke = True
            self._lead = []
            return
        self._lead.append(char)
        if char.isalnum() or properties_of(char).attaches:
            out += self._lead
            self._lead, self._spoke = None, True
            self._word = char if char.isalnum() else ""

    def _continue_divided(self, char: str, out: list[str]) -> None:
        head, line_break, rest = self._divided.partition("\n")
        if not line_break:
            if char in "\n\r" or (char == " " and len(head) < 4):
                self._divided += char
                return
        elif (char in " \t" and not rest.strip() and len(rest) < 16) or (char.isalnum() and len(rest) < 40):
            self._divided += char
            return
        elif rest.strip():
            out.append(self._joined(rest.strip()))
            self._word, self._divided = "", ""
            self._take(char, out)
            return
        self._release(char, out)

    def _release(self, char: str, out: list[str]) -> None:
        """Take what was held after a hyphen as it is: no word was divided."""
        held, self._divided = self._divided, ""
        out.append(held[0])
        self._word += held[0]
        for each in held[1:] + char:
            self._take(each, out)

    def _joined(self, rest: str) -> str:
        word = self._word
        if rest in _CONJUNCTIONS:
            return "- " + rest
        divided = word[-1].isalpha() and rest.islower() and rest.isalpha() and not properties_of(word[-1]).unspaced
        compound = "-" in word or word.lower() in _FIRST_PARTS or rest in _SECOND_PARTS
        return rest if divided and not compound else "-" + rest


def without_decoration(text: str) -> str:
    """Leave out rows of one sign around words, as in "=== Chapter 1 ==="."""
    return _DECORATION.sub(" ", text)
