"""Reasoning of a language model inside its output, which is not meant for the listener.

Models mark it in many ways. The marks here are those of DeepSeek, Qwen, Kimi, Magistral, gpt-oss, Gemma, Cohere and of
the programs ollama and llama-cli, as their documentation and chat templates show them.
"""

import re
from functools import lru_cache

_TAG = (
    r"(?:\w{1,20}[:_])?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|inner_monologue"
    r"|tool_calls?|tool_response|function_calls?)"
)
_OPENINGS = {
    "tag": rf"<{_TAG}(?:\s[^<>]{{0,200}})?(?<!/)>",
    "details": r"<details\s[^<>]{0,100}type=[\"']?reasoning[^<>]{0,200}>",
    "triangles": r"◁think▷",
    "thought": r"<\|begin_of_thought\|>",
    "cohere": r"<\|START_THINKING\|>",
    "gemma": r"<unused94>",
    "channel": r"<\|channel\|>(?!final)[^<\n]{1,40}(?:<\|constrain\|>[^<\n]{0,20})?<\|message\|>",
}
_CLOSINGS = {
    "tag": rf"</{_TAG}\s*>",
    "details": r"</details\s*>",
    "triangles": r"◁/think▷",
    "brackets": r"\[/THINK\]",
    "llama-cli": r"\[End thinking\]",
    "thought": r"<\|end_of_thought\|>",
    "cohere": r"<\|END_THINKING\|>",
    "gemma": r"<unused95>",
    "channel": r"<\|(?:end|call|return)\|>|(?=<\|(?:start|channel)\|>)",
    "ollama": r"\n\.\.\.done thinking\.[ ]*(?=\n)",
    "stripped": r"assistantfinal",
}
_STRAY = (
    rf"</{_TAG}\s*>|<{_TAG}\s*/>|◁/think▷|<unused95>|<\|start\|>[a-z]{{0,20}}(?=<)|<\|channel\|>final[^<\n]{{0,40}}"
    r"<\|message\|>|<\|(?!channel|start)[A-Za-z][\w ]{0,40}\|>|<｜[^<>｜\n]{1,40}｜>"
)
"""Marks that are left out wherever they stand: closing ones without an opening, and the special tokens of models."""
_SO_FAR = (
    r"<\|(?:channel|start)\|>[^\n]{0,100}|<(?:\|[\w ]{0,40}\|?)?|</?(?:[a-z][\w:]{0,40}\s{0,20}/?)?"
    rf"|<(?:{_TAG}|details)\s[^<>]{{0,300}}|◁/?\w{{0,5}}|<｜[^<>｜\n]{{0,40}}｜?"
)
_AT_START = {"ollama": "Thinking...\n", "stripped": "analysis"}
"""Openings that are meant only at the beginning of a text: of ollama, and of gpt-oss without its special tokens."""
_BRACKETS = {"[THINK]": "brackets", "[Start thinking]": "llama-cli", "[/THINK]": "", "[End thinking]": ""}
_TRIGGER = re.compile("[<◁[]|`+|~+")
_LONGEST_MARK = 300


class SpokenText:
    """Leaves out reasoning, while the text may still be arriving.

    Reasoning that never ends is left out if it begins a line: the model has said nothing else. If its opening stands
    within a line, it may be a text about such marks, so that what follows is returned when the text ends. How the text
    was cut on its way makes no difference.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._begun = False
        self._line_start = True
        self._last = ""  # the last character returned
        self._code = ""  # the fence of an open block of code, where marks are examples
        self._kind = ""  # of the open reasoning
        self._depth = 0
        self._skipped = ""  # what is to be returned if the reasoning never ends
        self._restores = False

    def feed(self, text: str) -> str:
        """Take more text; return what is certain to be for the listener."""
        self._pending += text
        return self._run(ended=False)

    def finish(self) -> str:
        """Return the rest, because the text has ended."""
        out = self._run(ended=True)
        return out + self._skipped if self._kind else out

    def _run(self, *, ended: bool) -> str:
        out: list[str] = []
        while self._pending:
            more = self._skip(ended=ended) if self._kind else self._pass(out, ended=ended)
            if not more:
                break
        return "".join(out)

    def _skip(self, *, ended: bool) -> bool:
        """Skip to the end of the reasoning. Return whether that is found."""
        text = self._pending
        mark = _inside(self._kind).search(text)
        if mark is None:
            at = len(text) if ended else _unfinished_from(text)
            if not ended and (at < 0 or len(text) - at > _LONGEST_MARK):
                at = max(len(text) - len("assistantfinal"), 0)
            self._keep(text[:at])
            self._pending = text[at:]
            return False
        self._keep(text[: mark.start()])
        self._pending = text[mark.end() :]
        if mark.lastgroup == "opening":
            self._depth += 1
            return True
        self._depth -= 1
        self._skipped = ""
        if self._depth:
            self._restores = True
        else:
            self._kind = ""
        return True

    def _keep(self, text: str) -> None:
        if self._restores:
            self._skipped += text

    def _pass(self, out: list[str], *, ended: bool) -> bool:
        """Return the text up to the next mark, and take the mark. Return False if it may not be complete."""
        text = self._pending
        if not self._begun:
            first = text.lstrip()
            for kind, opening in _AT_START.items():
                if first.startswith(opening) and (kind == "ollama" or first[len(opening) : len(opening) + 1].isupper()):
                    self._open(kind, first[len(opening) :], restores=True)
                    return True
                if opening.startswith(first[: len(opening)]) and len(first) <= len(opening) and not ended:
                    return False
            self._begun = True
        trigger = _TRIGGER.search(text)
        at = trigger.start() if trigger else len(text)
        self._emit(out, at)
        if trigger is None:
            return False
        return self._take_mark(out, trigger[0], ended=ended)

    def _take_mark(self, out: list[str], mark: str, *, ended: bool) -> bool:
        text = self._pending
        if mark[0] in "`~":
            if len(mark) == len(text) and not ended:
                return False
            if len(mark) >= 3 and self._line_start:
                if not self._code:
                    self._code = mark
                elif mark.startswith(self._code):
                    self._code = ""
            self._emit(out, len(mark))
            return True
        if self._code or self._last == "`":
            self._emit(out, 1)
            return True
        if mark == "[":
            for bracket, kind in _BRACKETS.items():
                if text.startswith(bracket):
                    self._open(kind, text[len(bracket) :], restores=not self._line_start)
                    return True
                if bracket.startswith(text) and not ended:
                    return False
            self._emit(out, 1)
            return True
        if found := _marks().match(text):
            kind = found.lastgroup or ""
            self._open("" if kind == "stray" else kind, text[found.end() :], restores=not self._line_start)
            return True
        if not ended and _so_far().fullmatch(text):
            return False
        self._emit(out, 1)
        return True

    def _open(self, kind: str, rest: str, *, restores: bool) -> None:
        self._kind, self._pending, self._begun = kind, rest, True
        self._depth, self._skipped, self._restores = 1, "", restores

    def _emit(self, out: list[str], length: int) -> None:
        text, self._pending = self._pending[:length], self._pending[length:]
        if text:
            out.append(text)
            self._last = text[-1]
            line = text.rpartition("\n")
            self._line_start = not line[2].strip() and (self._line_start or bool(line[1]))


def _unfinished_from(text: str) -> int:
    """Return where a mark may begin that is not complete yet; -1 if nowhere. A tag may have brackets inside."""
    tag = text.rfind("<")
    return tag if tag >= 0 and ">" not in text[tag:] else max(map(text.rfind, "<◁[\n"))


@lru_cache(maxsize=1)
def _marks() -> re.Pattern[str]:
    """Compiled on first use: few texts have an angle bracket."""
    openings = "|".join(f"(?P<{kind}>{opening})" for kind, opening in _OPENINGS.items())
    return re.compile(f"{openings}|(?P<stray>{_STRAY})", re.IGNORECASE)


@lru_cache(maxsize=1)
def _so_far() -> re.Pattern[str]:
    return re.compile(_SO_FAR, re.IGNORECASE)


@lru_cache
def _inside(kind: str) -> re.Pattern[str]:
    nested = f"|(?P<opening>{_OPENINGS[kind]})" if kind == "tag" else ""
    return re.compile(f"(?P<closing>{_CLOSINGS[kind]}){nested}", re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """Return a whole text without the reasoning of a model."""
    reader = SpokenText()
    return reader.feed(text) + reader.finish()
