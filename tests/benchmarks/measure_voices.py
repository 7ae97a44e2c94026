"""Measure how well voices are understood: models listen to ten sentences of each language, and write down what is said.

The table has, for each voice and language, the share of words that are heard wrong (of Mandarin, of syllables without
and with their tone), a mean opinion score from 1 to 5 by Distill-MOS, and the CPU time of a second of speech. Whisper
base writes down. It has learned from people: people understand eSpeak NG better than it does.

Without options, every model that comes with voxcli speaks, each with its own voice of every language. For a voice of
your own: --model voxcpm-1.5 --voice anna. See speech_judges.py for the packages that are needed, besides
voxcli[local,voices].
"""

import argparse
import os
import re
import statistics
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import soundfile
from pypinyin import Style, pinyin

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.speech_judges import Judges, Verdict, edits
from tests.benchmarks.spoken_sentences import SENTENCES, Sentence
from voxcli import Sampling, SpeechEngine, VoxError, open_engine
from voxcli.audio.chunk import Samples
from voxcli.bench.measure.machine import find_machine
from voxcli.engines import BUILTIN_MODEL
from voxcli.paths import find_places
from voxcli.text.normalization.chinese import HAN
from voxcli.text.normalization.normalize import normalized

NAMES = {
    "zh": "Mandarin",
    "zh-en": "Mandarin with English words",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "pt-br": "Portuguese (Brazil)",
    "hi": "Hindi",
}
DETECTED = ("zh", "zh-en", "en")
"""Languages that are told from the text. The others are named to the engine, as with --language."""
SEED = 1
"""Of models that draw."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One sentence, and what became of it."""

    sentence: Sentence
    verdict: Verdict
    errors: float
    """Units that are wrong, as a share of those that were spoken; at most 1."""
    tone_errors: float
    """The same with the tones of Mandarin; equal where there are none."""
    units: int
    cpu_seconds: float
    """For one second of speech."""


def main() -> None:
    given = parse()
    judges = Judges(find_places(os.environ).cache / "judges")
    rows = []
    for model in given.model:
        try:
            with open_engine(model) as engine:
                for voice in given.voice:
                    for language in given.languages:
                        rows += measured(engine, judges, Cell(model, voice, language), given)
        except VoxError as error:
            print(f"{model}: {error}", file=sys.stderr)
    machine = find_machine()
    print(f"{machine.cpu}, {machine.cores} cores; ten sentences of each language.\n")
    print("| language | model | voice | heard wrong | with tones | Distill-MOS | CPU s per s of speech |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(sorted(rows, key=lambda row: list(NAMES.values()).index(row[2:].split(" |", 1)[0]))))


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured at a time."""

    model: str
    voice: str | None
    language: str


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=[BUILTIN_MODEL], help="names or folders")
    parser.add_argument("--voice", nargs="+", default=[None], help="names; without one, the model's own for a language")
    parser.add_argument("--languages", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--wrong", action="store_true", help="print what was heard where it is not what was said")
    parser.add_argument("--folder", type=Path, help="keep the sounds here")
    return parser.parse_args()


def measured(engine: SpeechEngine, judges: Judges, cell: Cell, given: argparse.Namespace) -> Iterator[str]:
    """Yield a row of the table, unless this engine cannot speak the language with this voice."""
    sampling = Sampling(seed=SEED) if engine.draws_voices else None
    language = None if cell.language in DETECTED else cell.language
    sentences = SENTENCES[cell.language]
    found = []
    try:
        for number, sentence in enumerate(chain(sentences[:1], sentences)):
            started = time.process_time()
            speech = engine.speak(sentence.text, voice=cell.voice, language=language, sampling=sampling)
            samples, rate = speech.samples()
            seconds = time.process_time() - started
            if number:  # the first one warms up
                verdict = judges.verdict(samples, rate, cell.language)
                found.append(judged(sentence, verdict, cell.language, seconds * rate / len(samples)))
                keep(samples, rate, given.folder, f"{cell.model} {cell.voice or ''} {cell.language} {number}")
    except VoxError as error:
        print(f"{cell.model}, {cell.voice or 'no voice named'}, {NAMES[cell.language]}: {error}", file=sys.stderr)
        return
    if given.wrong:
        for one in found:
            if one.tone_errors:
                print(f"{cell.model} {cell.voice or ''}: {one.sentence.text}\n  heard: {one.verdict.heard}")
    yield row(cell, found)


def keep(samples: Samples, rate: int, folder: Path | None, name: str) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name.replace('/', '-')}.wav", samples, rate)


def row(cell: Cell, found: Sequence[Heard]) -> str:
    units = sum(one.units for one in found)
    errors, tone_errors = (
        f"{100 * sum(share * one.units for share, one in zip(shares, found, strict=True)) / units:.1f} %"
        for shares in ([one.errors for one in found], [one.tone_errors for one in found])
    )
    quality = statistics.mean(one.verdict.quality for one in found)
    cpu = statistics.median(one.cpu_seconds for one in found)
    tones = tone_errors if cell.language.startswith("zh") else "–"
    voice = cell.voice or "its own"
    return f"| {NAMES[cell.language]} | {cell.model} | {voice} | {errors} | {tones} | {quality:.2f} | {cpu:.2g} |"


def judged(sentence: Sentence, verdict: Verdict, language: str, cpu_seconds: float) -> Heard:
    """Compare what was heard with the reading of the sentence that is nearest."""
    plain, toned = (
        min(
            (min(edits(spoken, heard) / len(spoken), 1.0), len(spoken))
            for spoken in (units(reading, language, tones=tones) for reading in sentence.readings)
        )
        for tones in (False, True)
        for heard in [units(verdict.heard, language, tones=tones, all_readings=True)]
    )
    return Heard(sentence, verdict, plain[0], toned[0], plain[1], cpu_seconds)


def units(text: str, language: str, *, tones: bool = False, all_readings: bool = False) -> list[frozenset[str]]:
    """Return the words of a text, without signs and in lower case; of Chinese, the syllables in pinyin.

    Numbers are in words. A 儿 after another syllable, which is often left out in writing, does not count.

    Args:
        all_readings: of a Chinese character, besides the one that it has here: what is heard may be in traditional
            characters, of whose readings in words less is known.
    """
    chinese = language.startswith("zh")
    text = normalized(unicodedata.normalize("NFC", text), language="zh" if chinese else language).lower()
    text = text.replace("'", "").replace("’", "") if language == "en" else text
    text = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text)
    if not chinese:
        return [frozenset([word]) for word in text.split()]
    text = re.sub(f"(?<=[{HAN}])[儿兒]", "", text)
    text = re.sub(r"(?<![a-z])([a-z]) (?=[a-z](?![a-z]))", r"\1", text)  # letters that are spelled: p d f
    style = Style.TONE3 if tones else Style.NORMAL
    found: list[frozenset[str]] = []
    for part in re.findall(f"[{HAN}]+|[^{HAN}\\s]+", text):
        if re.match(f"[{HAN}]", part):
            here = pinyin(part, style=style, neutral_tone_with_five=True)
            alone = [pinyin(char, style=style, heteronym=True)[0] if all_readings else [] for char in part]
            found += [frozenset(some + more) for some, more in zip(here, alone, strict=True)]
        else:
            found.append(frozenset([part]))
    return found


if __name__ == "__main__":
    main()
