"""Other words and phonemes that elements of SSML have spoken in place of their content."""

from collections.abc import Mapping

from voxcli.text.phonemes import Alphabet, alphabet_of
from voxcli.text.ssml.values import ALPHABETS


class Unspoken(ValueError):
    """An element does not tell what is to be said; the message says why."""


def spoken_for(element: str, attributes: Mapping[str, str], content: str, language: str | None) -> str:
    """Return what is said in place of the content of `sub`, `say-as` or `phoneme`.

    Args:
        language: base code, of the content.

    Raises:
        Unspoken: the attributes make no sense, or not of this content.
    """
    if element == "sub":
        return " ".join(attributes.get("alias", "").split())
    if element == "phoneme":
        return _phonemes(attributes)
    from voxcli.text.normalization.say_as import Unreadable, read_as  # its tables take a while to compile

    try:
        return read_as(content, attributes.get("interpret-as", ""), attributes.get("format", ""), language)
    except Unreadable as error:
        raise Unspoken(str(error)) from error


def _phonemes(attributes: Mapping[str, str]) -> str:
    written = " ".join(attributes.get("ph", "").split())
    alphabet = ALPHABETS.get(attributes.get("alphabet", "").lower())
    if alphabet is None:
        known = ", ".join(name for name in ALPHABETS if name and not name.startswith("x-"))
        raise Unspoken(f"the alphabet {attributes['alphabet']!r} is not known. Known are: {known}")
    whole = f"/{written}/" if alphabet is Alphabet.IPA else written
    pieces = written.split() if alphabet is Alphabet.PINYIN else [whole]
    if not pieces or any(alphabet_of(piece) is not alphabet for piece in pieces):
        raise Unspoken(f"{written!r} is not written in {alphabet}")
    return "".join(f"{{{piece}}}" for piece in pieces)
