"""Reading: a sentence in, passages out, each in phonemes of Kokoro or left to eSpeak NG."""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from voxcli.engines.espeak.languages import has_kana, script_runs
from voxcli.engines.espeak.library import Espeak
from voxcli.engines.kokoro.alphabet import is_sound
from voxcli.engines.kokoro.european import ESPEAK_VOICES, european_phonemes, phonemes_of_ipa
from voxcli.engines.kokoro.mandarin import HAN, mandarin_phonemes, phonemes_of_pinyin
from voxcli.text.characters import is_speakable, without_emoji
from voxcli.text.language import CHINESE, ENGLISH, JAPANESE
from voxcli.text.look_alikes import folded
from voxcli.text.normalization.bilingual import in_words
from voxcli.text.normalization.chinese import spelled_in_chinese
from voxcli.text.phonemes import Alphabet, Phonemes, ipa_of, outside_phonemes, split_phonemes

_log = logging.getLogger(__name__)


def _named(signs: str) -> dict[str, str]:
    return {entry[0]: entry[1:].replace("_", " ") for entry in signs.split()}


_ENGLISH_SIGNS = _named("""
    ®registered ™trademark ‰per_mille √square_root_of ∞infinity ₿bitcoin ≈approximately ≠not_equal_to ≤at_most
    ≥at_least <less_than µmicro >greater_than №number $dollar €euro £pound ¥yen ₹rupee ₩won ¢cent ℃degrees_Celsius
    ℉degrees_Fahrenheit
""")
"""What hibari or eSpeak NG would leave out."""
_CHINESE_SIGNS = _named("""
    %百分号 ‰千分号 &和 +加 @艾特 <小于 >大于 ±正负 ×乘 ÷除以 ∞无穷大 ≠不等于 ≤小于等于 ≥大于等于 °度 ©版权所有
    ®注册 ™商标 №号 ℃摄氏度 ℉华氏度 §节 µ微 $美元 €欧元 £英镑 ¥元 ￥元 ₹卢比 ₩韩元 ₿比特币 ¢分 #井号 =等于 √根号
""")
_CHINESE_MARKS = {
    **dict(
        zip("，、,。．.！!？?；;：:…—（）()《》“”「」『』【】〈〉", ",,,...!!??;;::…—()()“”“”“”“”“”“”", strict=True)
    ),
    "～": "—",
    "~": "—",
    "–": "—",
    "｡": ".",
    "､": ",",
}
_ROMAN = re.compile("[\u2160-\u2188]")
_WIDE_MARKS = str.maketrans({mark: f"{plain} " for mark, plain in zip("，、。．！？；：", ",,..!?;:", strict=True)})
_OPENING = frozenset("(“")
_TIGHT = frozenset(";:,.!?—…)”")
_MARKS_OF_SENTENCES = {mark: plain for mark, plain in _CHINESE_MARKS.items() if plain in _TIGHT} | {
    mark: mark for mark in _TIGHT
}
_CHINESE_PIECE = re.compile(f"([{HAN}]+)|(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the language of a text, around one sentence of it."""

    latin: str
    """The language of its Latin letters: one of `ESPEAK_VOICES`, or another one of eSpeak NG's."""
    whole: str | None
    """Code of the language of the whole text."""
    spoken: str | None
    """Code of the language that was asked for."""

    @property
    def main(self) -> str | None:
        """The language of what does not tell its own: numbers and signs."""
        return self.spoken or self.whole


@dataclass(frozen=True, slots=True)
class Readers:
    """What turns words into phonemes, beside pypinyin."""

    espeak: Espeak
    english: Callable[[str, str], str]
    """Returns the phonemes of a text in "en-us" or "en-gb"; an empty text for what it cannot read."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a sentence that is spoken by one model."""

    text: str
    phonemes: str
    """For Kokoro; empty if eSpeak NG is to read the text."""
    language: str | None
    """The only language in it, for Kokoro; what it is read in, for eSpeak NG, which detects it if this is None."""


def passages_of(sentence: str, context: Context, readers: Readers) -> Iterator[Passage]:
    """Split a sentence into passages; their texts, joined, are the sentence with its numbers in words.

    Raises:
        ModelError: eSpeak NG cannot load a language.
    """
    text = outside_phonemes(sentence, _plain)
    if not is_speakable(text):
        yield Passage(sentence, "", None)  # emoji, whose names eSpeak NG knows
        return
    if _is_japanese(text, context):
        yield Passage(text, "", "ja")
        return
    held: Passage | None = None
    for passage in _passages(text, context, readers):
        if held and held.phonemes and passage.phonemes:
            language = held.language if held.language == passage.language else None
            apart = "" if passage.phonemes[0] in _TIGHT else " "
            joined = f"{held.phonemes.rstrip()}{apart}{passage.phonemes.lstrip()}"
            held = Passage(held.text + passage.text, joined, language)
        else:
            if held:
                yield held
            held = passage
    if held:
        yield held


def _plain(text: str) -> str:
    return _ROMAN.sub(lambda numeral: unicodedata.normalize("NFKC", numeral[0]), folded(without_emoji(text)))


def _passages(text: str, context: Context, readers: Readers) -> Iterator[Passage]:
    """Read the runs of a sentence, and the phonemes in its braces."""
    pieces = list(split_phonemes(_in_words(text, context)))
    language: str | None = context.latin
    for piece in pieces:
        if isinstance(piece, Phonemes):
            passages = [_pronounced(piece, context)]
        elif len(pieces) > 1 and not is_speakable(piece):
            marks = "".join(_MARKS_OF_SENTENCES.get(char, "") for char in piece)
            passages = [Passage(piece, marks, language)] if marks else []
        else:
            passages = [_read(run.text, run.language, context, readers) for run in script_runs(piece)]
        for passage in passages:
            yield passage
            language = passage.language


def _pronounced(piece: Phonemes, context: Context) -> Passage:
    if piece.alphabet is Alphabet.PINYIN:
        return Passage(piece.written, phonemes_of_pinyin(piece.written), CHINESE)
    language = context.latin if context.latin in ESPEAK_VOICES else "en-us"
    ipa = ipa_of(piece.written) if piece.alphabet is Alphabet.ARPABET else piece.written
    return Passage(piece.written, phonemes_of_ipa(ipa, language), language)


def _is_japanese(text: str, context: Context) -> bool:
    return context.main == JAPANESE and (has_kana(text) or re.search(f"[{HAN}]", text) is not None)


def _in_words(text: str, context: Context) -> str:
    """Spell out the numbers of Chinese and English. eSpeak NG reads those of other languages."""
    latin = ENGLISH if context.latin.startswith(ENGLISH) else context.latin
    return in_words(text, text_language=CHINESE if context.main == CHINESE else latin)


def _read(text: str, script: str | None, context: Context, readers: Readers) -> Passage:
    if script == "cmn" or (script is None and context.main == CHINESE):
        phonemes = _chinese(text)
        return Passage(text, phonemes if is_sound(phonemes) else "", CHINESE)
    language = context.latin if script in ("en-us", None) else script
    if language not in ESPEAK_VOICES:
        return Passage(text, "", language)
    text, phonemes = text.translate(_WIDE_MARKS), ""
    if language.startswith(ENGLISH):
        text = _with_names(text, _ENGLISH_SIGNS)
        phonemes = readers.english(text, language)
    if not is_sound(phonemes):
        phonemes = european_phonemes(text, language, readers.espeak)
    return Passage(text, phonemes if is_sound(phonemes) else "", language)


def _with_names(text: str, names: dict[str, str]) -> str:
    if text.isascii() and not any(sign in text for sign in "<>$"):
        return text
    return "".join(f" {names[character]} " if character in names else character for character in text)


def _chinese(text: str) -> str:
    """Return the phonemes of Chinese with its punctuation."""
    text = spelled_in_chinese(unicodedata.normalize("NFC", text))
    text = "".join(_CHINESE_SIGNS.get(character, character) for character in text)
    parts: list[str] = []
    left_out = ""
    for piece in _CHINESE_PIECE.finditer(text):
        if piece[1]:
            phonemes, unread = mandarin_phonemes(piece[1], asks=text[piece.end() : piece.end() + 1] in ("？", "?"))
            parts.append(phonemes)
            left_out += unread
        elif mark := _CHINESE_MARKS.get(piece[2]):
            parts.append(f" {mark}" if mark in _OPENING else f"{mark} ")
        else:
            parts.append(" ")
    found = re.sub(r"\s+", " ", "".join(parts)).strip()
    if left_out and is_sound(found):  # else eSpeak NG is to read it
        _log.warning("Kokoro cannot read %s, and leaves it out.", left_out)
    return found
