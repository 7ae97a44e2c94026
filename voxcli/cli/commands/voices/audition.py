"""An audition: several voices speak the same text, one after another."""

from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, replace

from voxcli.audio.pcm import silence
from voxcli.cli.commands.chosen import engine_name, name_unused, open_chosen_engine
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown
from voxcli.cli.status_line import shown_loading
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.engines.settings import EngineSettings
from voxcli.sinks import Target, ToSpeaker, open_sink
from voxcli.sinks.base import write_paced
from voxcli.synthesis.pace import StartBuffer, speaking_seconds
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Engine, Voice, abilities_of, check_description
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.parts import read_parts

LINES = {
    "zh": "你好，这就是我的声音。",
    "en": "Hello, this is what I sound like.",
    "es": "Hola, así suena mi voz.",
    "fr": "Bonjour, voici ma voix.",
    "it": "Ciao, questa è la mia voce.",
    "pt": "Olá, esta é a minha voz.",
    "hi": "नमस्ते, यह मेरी आवाज़ है।",
}
"""The default text, by language."""
_UNKNOWN = ("zh", "en")
"""What is spoken where no language is named."""

_GAP_SECONDS = 0.7
"""Between two voices in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audition:
    """The voices, their text, and the targets of the sound."""

    voices: list[tuple[str, Voice]]
    text: str | None
    engine: EngineSettings
    delivery: Delivery
    """For all voices; its `voice` is replaced by each of them."""
    targets: list[Target]


def default_line(voice: Voice, language: str | None) -> str:
    """Return the text a voice introduces itself with. A voice that the engine knows by name speaks one language."""
    if voice.name and not language:
        found = KOKORO_VOICES.get(voice.name.lower())
        of_name = "zh" if voice.name.startswith(("cmn", "yue", "zh")) else "en"
        language = found.language if found else of_name
    return LINES.get((language or "").partition("-")[0]) or " ".join(LINES[language] for language in _UNKNOWN)


def hold(audition: Audition, console: Console, announce: Callable[[str], None], shutdown: GracefulShutdown) -> None:
    """Play all voices, with one engine and into one file.

    Args:
        announce: receives each name before its voice is played.
        shutdown: stops the work, between chunks.
    """
    speakers = [target for target in audition.targets if isinstance(target, ToSpeaker)]
    others = [target for target in audition.targets if not isinstance(target, ToSpeaker)]
    with ExitStack() as stack:
        kept = [stack.enter_context(open_sink(others))] if others else []
        with shown_loading(console, engine_name(audition.engine), shutdown) as on_loading:
            engine = stack.enter_context(
                closing(
                    open_chosen_engine(
                        audition.engine, slots=1, on_loading=on_loading, check=shutdown.raise_if_interrupted
                    )
                )
            )
        name_unused(audition.delivery, engine, engine_name(audition.engine))
        for name, voice in audition.voices:
            announce(name)
            # One loudspeaker sink per voice, so that it has finished before the next name is announced.
            speech = _Speech(audition, voice, engine)
            buffered = open_sink(speakers, start_buffer=speech.buffer.needed) if speakers else nullcontext()
            with buffered as speaker, closing(speech.pieces) as pieces:
                sinks = [*kept, speaker] if speaker else kept
                rate = write_paced(pieces, sinks, speech.buffer, shutdown.raise_if_interrupted)
            if rate and name != audition.voices[-1][0]:
                for sink in kept:
                    sink.write(silence(_GAP_SECONDS, rate))


class _Speech:
    """The speech of one voice, and what has to wait before it is played."""

    def __init__(self, audition: Audition, voice: Voice, engine: Engine) -> None:
        check_description(voice, abilities_of(engine))
        delivery = replace(audition.delivery, voice=voice)
        text = audition.text or default_line(voice, delivery.language)
        abilities = abilities_of(engine)
        parts = read_parts([text], markdown=False, tags=abilities.tags, least_syllables=abilities.least_syllables)
        stopwatch = Stopwatch()
        self.buffer = StartBuffer(
            stopwatch.timings, text_seconds=speaking_seconds(text) / delivery.speed, rate=delivery.speed
        )
        self.pieces = synthesize(engine, parts, delivery, stopwatch=stopwatch)
