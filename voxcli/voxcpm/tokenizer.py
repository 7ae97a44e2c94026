"""Tokenizer: text to the ids that the language model reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tokenizers

from voxcli.errors import ModelError, RequestError

TOKENIZER_FILE = "tokenizer.json"
_SETTINGS_FILE, _SPECIAL_FILE = "tokenizer_config.json", "special_tokens_map.json"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")

_WHITE_SPACE = re.compile(r"\s+")
_SPACE_MARK = "▁"
_FIRST_HAN, _LAST_HAN = "\u4e00", "\u9fff"
_LARGEST_MARK = 104
"""The largest id of the audio markers. A tokenizer without it belongs to another model."""


class Tokenizer:
    """The checkpoint's own vocabulary, with Chinese words split into characters."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        """
        Args:
            folder: of the checkpoint.
            vocabulary: number of ids that the model knows.

        Raises:
            ModelError: a file is damaged, or belongs to another model.
        """
        path = folder / TOKENIZER_FILE
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"{folder} has no {TOKENIZER_FILE}. Pull the model again.") from error
        except Exception as error:  # the library raises nothing narrower
            raise ModelError(f"{path} is damaged: {error}. Pull the model again.") from error
        _add_declared_tokens(self._tokenizer, folder)
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
        """Tokenize a text, without special tokens around it."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for token, number in zip(encoding.tokens, encoding.ids, strict=True):
            word = token.replace(_SPACE_MARK, "")
            if word in self._words:
                ids += [self._vocabulary.get(character, self._unknown) for character in word]
            else:
                ids.append(number)
        return ids


def _add_declared_tokens(tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """Add the tokens that only tokenizer_config.json or special_tokens_map.json declare, as transformers does.

    Raises:
        ModelError: a file is damaged, or declares an id that the token cannot have.
    """
    present = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for path in (folder / _SETTINGS_FILE, folder / _SPECIAL_FILE):
        try:
            declared = list(_declared_tokens(json.loads(path.read_text("utf-8"))))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} is damaged: {error!r}. Pull the model again.") from error
        for number, token in declared:
            if token.content not in present:
                (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
                present.add(token.content)
            if number is not None and (actual := tokenizer.token_to_id(token.content)) != number:
                raise ModelError(
                    f"{path} belongs to another model: {token.content!r} is {actual} in {TOKENIZER_FILE}, not {number}."
                )


def _declared_tokens(settings: dict[str, Any]) -> Iterator[tuple[int | None, tokenizers.AddedToken]]:
    """Yield tokens with the ids that are declared for them, in the order of the ids; None where none is."""
    decoder = {int(number): token for number, token in settings.get("added_tokens_decoder", {}).items()}
    for number, token in sorted(decoder.items()):
        yield number, _added_token(token)
    for extra in settings.get("additional_special_tokens") or ():
        yield None, _added_token(extra if isinstance(extra, dict) else {"content": extra, "special": True})


def _added_token(token: dict[str, Any]) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(token["content"], **{flag: token[flag] for flag in _FLAGS if flag in token})


def on_one_line(text: str) -> str:
    """Replace every run of white space by one space. The reference does so with texts, not with transcripts.

    Raises:
        RequestError: the text is empty or white space only.
    """
    plain = _WHITE_SPACE.sub(" ", text)
    if not plain.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    return plain
