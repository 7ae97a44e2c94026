"""From a text to the ids that a model reads."""

import re
from pathlib import Path

import tokenizers

from voxcli.errors import ModelError, RequestError

TOKENIZER_FILE = "tokenizer.json"

_WHITE_SPACE = re.compile(r"\s+")
_SPACE_MARK = "▁"
_FIRST_HAN, _LAST_HAN = "\u4e00", "\u9fff"
_LARGEST_MARK = 104
"""The largest of the ids that stand for no text; a tokenizer without it belongs to another model."""


class Tokenizer:
    """The checkpoint's own vocabulary, with Chinese words read character by character."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        """vocabulary: how many ids the model knows.

        Raises:
            ModelError: the file is damaged, or belongs to another model.
        """
        path = folder / TOKENIZER_FILE
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"{folder} has no {TOKENIZER_FILE}. Pull the model again.") from error
        except Exception as error:  # the library raises nothing narrower
            raise ModelError(f"{path} is damaged: {error}. Pull the model again.") from error
        self._vocabulary = self._tokenizer.get_vocab()
        largest = max(self._vocabulary.values(), default=0)
        if not _LARGEST_MARK <= largest < vocabulary:
            raise ModelError(
                f"{path} belongs to another model: its largest id is {largest}, and this model has {vocabulary} ids."
            )
        self._words = {
            token
            for token in self._vocabulary
            if len(token) > 1 and _FIRST_HAN <= min(token) <= max(token) <= _LAST_HAN
        }
        self._unknown = self._vocabulary.get("<unk>", 0)

    def ids(self, text: str) -> list[int]:
        """Read a text as it stands."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for token, number in zip(encoding.tokens, encoding.ids, strict=True):
            word = token.replace(_SPACE_MARK, "")
            if word in self._words:
                ids += [self._vocabulary.get(character, self._unknown) for character in word]
            else:
                ids.append(number)
        return ids


def on_one_line(text: str) -> str:
    """Make one space of white space of any length, as a text is before it is read; the words of a prompt are not.

    Raises:
        RequestError: there is nothing else in it.
    """
    plain = _WHITE_SPACE.sub(" ", text)
    if not plain.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    return plain
