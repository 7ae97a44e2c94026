"""Speech Synthesis Markup Language: documents of it are found by their root element, and read as text."""

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from voxcli.errors import RequestError
from voxcli.text.parts import Flush, TextPiece

Piece = TypeVar("Piece", bound=TextPiece)

_ROOT = re.compile(
    r"\ufeff?\s*(?:<\?xml[^<>]*\?>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*"
    r"(?:<!DOCTYPE\s+(?:\w+:)?speak\b.*?>\s*)?<(?:\w+:)?speak[\s/>]",
    re.DOTALL,
)
_BEGINNING = re.compile(r"\ufeff?\s*(?:<(?:[?!](?:.*)|(?:\w+:)?s?p?e?a?k?)?)?\Z", re.DOTALL)
_MOST_SNIFFED = 4096
"""Characters before the root element of a text that is still arriving."""


def is_ssml(text: str) -> bool:
    """Whether a text is a document of SSML: whether its root element is `speak`."""
    return "speak" in text[:_MOST_SNIFFED] and _ROOT.match(text[:_MOST_SNIFFED]) is not None


def refusing_ssml(text: Iterable[Piece]) -> Iterator[Piece]:
    """Yield a text that may still be arriving, for a consumer that would speak markup.

    Raises:
        RequestError: it is a document of SSML.
    """
    held = ""
    for piece in text:
        if isinstance(piece, str) and _BEGINNING.match(held):
            held += piece
            if is_ssml(held):
                raise RequestError(
                    "SSML cannot be sent to this server while it is being written.",
                    on_command_line="Write it to a file, and name that with -f.",
                )
        yield piece


def sniffed(text: Iterable[TextPiece]) -> Iterator[TextPiece]:
    """Yield a text that may still be arriving; if it is a document of SSML, what it says, once it is complete.

    Raises:
        RequestError: it is a document that cannot be spoken, or names voices, which are chosen before a text arrives.
    """
    held, pieces = "", iter(text)
    for piece in pieces:
        if not isinstance(piece, str):
            if isinstance(piece, Flush) and held:
                yield from (held, piece)
                held = ""
                break
            yield piece
            continue
        held += piece
        if is_ssml(held):
            from voxcli.text.ssml.reader import read_ssml  # plain texts do without a parser

            document = read_ssml(held + "".join(piece for piece in pieces if isinstance(piece, str)))
            if document.voices:
                raise RequestError(
                    "A document that names voices has to be complete before it is spoken.",
                    on_command_line="Write it to a file, and name that with -f.",
                )
            yield from document.pieces
            return
        if len(held) > _MOST_SNIFFED or not _BEGINNING.match(held):
            break
    if held:
        yield held
    yield from pieces
