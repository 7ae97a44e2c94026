"""Explanation of a text: for each sentence what is written, what is said, and why they differ. Nothing is spoken."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from difflib import SequenceMatcher
from typing import Any

from voxcli.cli.commands.chosen import engine_name, open_chosen_engine
from voxcli.cli.commands.speak_job import SpeakJob
from voxcli.cli.console import write_lines, write_paragraphs
from voxcli.cli.settings.files import model_library
from voxcli.cli.text_source import known_text
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.spelling import spelled_out
from voxcli.synthesis.pipeline import delivery_of
from voxcli.synthesis.request import Abilities, SynthesisRequest, Voice, abilities_of
from voxcli.text.marks import Pause, Sentence, manner_of
from voxcli.voxcpm.network.config import abilities_of_model, read_config

_TOKEN = re.compile(r"\s+|\{[^{}]*\}|[^\W\d_]+|\S", re.UNICODE)
_IN_WORDS = "numbers and signs in words"


def explained(job: SpeakJob, *, as_json: bool) -> None:
    """Print what is said for each sentence of a job, and why. As JSON, one object on each line."""
    entries = _Explainer(job).entries()
    if as_json:
        for entry in entries:
            write_lines([json.dumps(entry, ensure_ascii=False)])
        return
    for entry in entries:
        if "pause" in entry:
            write_lines([f"pause {entry['pause']:g} s"])
            continue
        about = [f"{name} {entry[name]}" for name in ("speaker", "voice", "language", "speed") if entry.get(name)]
        write_lines([" · ".join([str(entry["sentence"]), *about])])
        changes = [f"{each['written']} → {each['said'] or 'nothing'} ({each['why']})" for each in entry["changes"]]
        write_paragraphs([f"written  {entry['written']}", f"sent     {entry['sent']}", *changes])


class _Explainer:
    """Goes through the parts of a job as they would be spoken."""

    def __init__(self, job: SpeakJob) -> None:
        self._job = job
        self._text = known_text(job.text)
        self._model = engine_name(job.engine)
        self._abilities = _abilities(job)

    def entries(self) -> Iterator[dict[str, Any]]:
        number, end = 0, 0
        for part in self._job.parts(lambda: None, self._abilities, lambda: 0.0):
            if isinstance(part, Pause):
                yield {"pause": part.seconds}
                continue
            number += 1
            sentence = part if isinstance(part, Sentence) else Sentence(part, None)
            yield self._entry(number, sentence, end)
            end = sentence.span[1] if sentence.span else end

    def _entry(self, number: int, sentence: Sentence, end: int) -> dict[str, Any]:
        delivery = delivery_of(sentence, self._job.delivery, self._job.speakers)
        request = delivery.request(sentence)
        sent = self._sent(request)
        changes = [*self._left_out(sentence, end), *_replaced(sentence)]
        changes += _differences(request.text, sent, f"{_IN_WORDS}{' (--normalize)' if request.normalize else ''}")
        manner = manner_of(sentence)
        return {
            "sentence": number,
            "span": sentence.span,
            "speaker": manner.speaker,
            "voice": _name_of(request.voice),
            "language": request.language,
            "speed": None if request.speed == 1 else request.speed,
            "written": str(sentence),
            "sent": sent,
            "changes": changes,
        }

    def _sent(self, request: SynthesisRequest) -> str:
        """Return what the model is given, as far as it is known without it."""
        if request.normalize:
            return spelled_out(request.text, request)
        if self._model == KOKORO_MODEL:
            from voxcli.text.normalization.bilingual import in_words

            return in_words(request.text, text_language=request.text_language)
        return request.text

    def _left_out(self, sentence: Sentence, end: int) -> Iterator[dict[str, str]]:
        """Yield what stands in the text before a sentence, or within it, and is not spoken."""
        if self._text is None or sentence.span is None:
            return
        start, after = sentence.span
        if before := self._text[end:start].strip():
            yield {"written": before, "said": "", "why": "not spoken"}
        yield from _differences(self._text[start:after], str(sentence), "markup, or not spoken")


def _replaced(sentence: Sentence) -> Iterator[dict[str, str]]:
    for at, said, why in sentence.replacements:
        yield {"written": sentence[slice(*at)], "said": said, "why": why.removeprefix("lexicon: ")}


def _differences(before: str, after: str, why: str) -> Iterator[dict[str, str]]:
    """Yield what has become of the words that differ."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    for kind, start, end, first, last in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        changed = "".join(old[start:end]).strip(), "".join(new[first:last]).strip()
        if kind != "equal" and changed[0]:
            yield {"written": changed[0], "said": changed[1], "why": why}


def _name_of(voice: Voice) -> str | None:
    clip = voice.reference or (voice.prompt.clip if voice.prompt else None)
    named = voice.name or (clip.name if clip else None)
    return ", ".join(filter(None, [named, voice.style])) or None


def _abilities(job: SpeakJob) -> Abilities:
    """Return what the engine of a job makes use of, without loading a model."""
    model = engine_name(job.engine)
    if job.engine.remote or model == BUILTIN_MODEL:
        with closing(open_chosen_engine(job.engine)) as engine:
            return abilities_of(engine)
    if model == KOKORO_MODEL:
        from voxcli.engines.kokoro.engine import KokoroEngine

        return KokoroEngine.abilities
    return abilities_of_model(read_config(model_library().load(model)).architecture)
