"""Several voices say the same, one after another."""

from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass

from voxcli.audio.chunk import silence
from voxcli.audio.pcm import amplified
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.speech import ReadingOptions
from voxcli.sinks import Target, ToSpeaker, open_sink
from voxcli.sinks.base import Sink
from voxcli.synthesis.request import Engine, Sampling, SynthesisRequest, Voice

LINES = {"zh": "你好，这就是我的声音。", "en": "Hello, this is what I sound like."}
"""What is said, by language; all of it where none is named."""

_GAP_SECONDS = 0.7
"""Between two voices in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audition:
    """Who says what, and where it goes."""

    voices: list[tuple[str, Voice]]
    text: str | None
    engine: EngineOptions
    sampling: Sampling
    delivery: ReadingOptions
    targets: list[Target]

    def request(self, voice: Voice) -> SynthesisRequest:
        text = self.text or default_line(voice, self.delivery.language)
        return self.delivery.request(text, voice, self.sampling)


def default_line(voice: Voice, language: str | None) -> str:
    """Return what a voice shows itself with: a voice that an engine knows by name speaks one language only."""
    if voice.name and not language:
        language = "zh" if voice.name.startswith(("cmn", "yue", "zh")) else "en"
    return LINES.get((language or "").partition("-")[0]) or " ".join(LINES.values())


def hold(audition: Audition, announce: Callable[[str], None], check: Callable[[], None]) -> None:
    """Let all of them speak, with one engine and into one file.

    Args:
        announce: takes each name before its voice is heard.
        check: raises if the work shall stop. Called between chunks.
    """
    speakers = [target for target in audition.targets if isinstance(target, ToSpeaker)]
    others = [target for target in audition.targets if not isinstance(target, ToSpeaker)]
    with ExitStack() as stack:
        kept = [stack.enter_context(open_sink(others))] if others else []
        engine = stack.enter_context(closing(audition.engine.open(slots=1)))
        for name, voice in audition.voices:
            announce(name)
            # A loudspeaker of its own for each, which has played to the end before the next name is announced.
            with open_sink(speakers) if speakers else nullcontext() as heard:
                rate = _speak(audition, voice, engine, [*kept, heard] if heard else kept, check)
            if rate and name != audition.voices[-1][0]:
                for sink in kept:
                    sink.write(silence(_GAP_SECONDS, rate))


def _speak(
    audition: Audition, voice: Voice, engine: Engine, sinks: list[Sink], check: Callable[[], None]
) -> int | None:
    """Let one voice speak. Return the sample rate, if there was any sound."""
    rate = None
    with closing(amplified(engine.stream(audition.request(voice)), audition.delivery.volume)) as chunks:
        for chunk in chunks:
            rate = chunk.sample_rate
            for sink in sinks:
                sink.write(chunk)
            check()
    return rate
