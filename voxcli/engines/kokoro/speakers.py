"""Speakers of Kokoro: its voices, and those that stand for the voice names of OpenAI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from voxcli.text.language import base_language

Gender: TypeAlias = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class KokoroVoice:
    """One of the voices of Kokoro."""

    name: str
    language: str
    """A tag of BCP 47: what the voice was recorded in. It reads the other languages with an accent."""
    gender: Gender
    about: str
    """For lists: the language and the gender, in English."""


_LANGUAGES = {
    "z": ("zh", "Chinese"),
    "a": ("en-us", "American English"),
    "b": ("en-gb", "British English"),
    "e": ("es", "Spanish"),
    "f": ("fr", "French"),
    "i": ("it", "Italian"),
    "p": ("pt-br", "Brazilian Portuguese"),
    "h": ("hi", "Hindi"),
}
_GENDERS: Mapping[str, tuple[Gender, str]] = {"f": ("female", "woman"), "m": ("male", "man")}

_NAMES = """
zf_xiaoxiao zf_xiaobei zf_xiaoni zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang
af_heart af_bella af_nicole af_sarah af_aoede af_kore af_alloy af_nova
am_michael am_fenrir am_puck am_echo am_onyx
bf_emma bf_isabella bm_george bm_fable
ef_dora em_alex ff_siwis if_sara im_nicola pf_dora pm_alex hf_alpha hf_beta hm_omega hm_psi
"""
"""By language, the best first: the letters before the name are the language and the gender."""


def _describe(name: str) -> KokoroVoice:
    language, about = _LANGUAGES[name[0]]
    gender, word = _GENDERS[name[1]]
    return KokoroVoice(name, language, gender, f"{about}, {word}")


VOICES: Mapping[str, KokoroVoice] = {name: _describe(name) for name in _NAMES.split()}

SMALL = "hibari"
"""The model that speaks English alone, in `GAINS`."""

_GAINS = """
hibari +5.8, zf_xiaoxiao -3.9, zf_xiaobei +0.1, zf_xiaoni -1.8, zf_xiaoyi -1.3, zm_yunjian +0.9
zm_yunxi +0.9, zm_yunxia +0.2, zm_yunyang -1.0, af_heart +2.9, af_bella +2.4, af_nicole -0.4
af_sarah +0.3, af_aoede -2.8, af_kore -2.0, af_alloy +0.2, af_nova +5.3, am_michael +3.0
am_fenrir -1.8, am_puck -2.3, am_echo +1.2, am_onyx +1.1, bf_emma -0.3, bf_isabella -2.8
bm_george +1.1, bm_fable +0.8, ef_dora +2.6, em_alex +2.8, ff_siwis -1.1, if_sara -6.2
im_nicola -1.5, pf_dora +0.8, pm_alex +0.5, hf_alpha -4.2, hf_beta -3.2, hm_omega -4.0
hm_psi -2.4
"""
"""In dB: with them, all speak at -20 LUFS. Measured by tests/benchmarks/measure_kokoro_levels.py."""

GAINS: Mapping[str, float] = {
    name: float(gain) for name, gain in (pair.split() for pair in _GAINS.replace("\n", ",").split(",") if pair)
}

_NAMED = """
alloy af_alloy zf_xiaobei
ash am_fenrir zm_yunxi
ballad bm_george zm_yunyang
cedar am_michael zm_yunjian
coral af_bella zf_xiaoyi
echo am_echo zm_yunxi
fable bm_fable zm_yunxia
marin af_heart zf_xiaoxiao
nova af_nova zf_xiaoni
onyx am_onyx zm_yunjian
sage af_sarah zf_xiaobei
shimmer af_aoede zf_xiaoyi
verse am_puck zm_yunyang
"""
"""By a name of OpenAI: who speaks English, each of them another voice, and who speaks Chinese, of the same gender."""

SPEAKERS_OF_NAMED: Mapping[str, tuple[str, str]] = {
    name: (english, chinese) for name, english, chinese in (line.split() for line in _NAMED.strip().splitlines())
}


def speaker_of_named(name: str, language: str) -> str:
    """Return the voice that stands for a name of OpenAI in a language.

    Args:
        name: one of `SPEAKERS_OF_NAMED`.
        language: one that Kokoro has voices of. Where none has the same gender, the English voice reads it.
    """
    english, chinese = SPEAKERS_OF_NAMED[name]
    base = base_language(language)
    if base == base_language(VOICES[english].language):
        return english
    if base == base_language(VOICES[chinese].language):
        return chinese
    gender = VOICES[english].gender
    same = (voice for voice in VOICES.values() if (base_language(voice.language), voice.gender) == (base, gender))
    return next((voice.name for voice in same), english)
