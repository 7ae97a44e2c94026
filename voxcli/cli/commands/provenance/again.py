"""`voxcli again`: make the speech of a file again from what the file says of itself, and compare."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli.console import Console, logs_on_console, write_json, write_lines
from voxcli.cli.exits import ExitCode
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.options.speech import VoiceOptions
from voxcli.cli.options.words import CastFile, Lexicons, WordsOptions
from voxcli.cli.parser.help import documented

if TYPE_CHECKING:
    from voxcli.cli.commands.speak_job import SpeakJob
    from voxcli.engines.settings import EngineSettings
    from voxcli.synthesis.comparison import Remake
    from voxcli.synthesis.identity import ModelIdentity
    from voxcli.synthesis.pipeline import Delivery
    from voxcli.synthesis.provenance import Provenance
    from voxcli.synthesis.request import Voice
    from voxcli.synthesis.verification import Verification

NewFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Keep the new file here. Default: it is only compared."),
]


@documented(
    "voxcli again hello.wav",
    "voxcli again chapter.mp3 -f chapter.md",
    "voxcli again hello.wav -o new.wav --voice anna",
)
def again(
    context: typer.Context,
    made: Annotated[Path, typer.Argument(metavar="FILE", help="A file that voxcli has written.")],
    engine: ResidentEngineOptions,
    output: NewFile = None,
    force: options.Force = False,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="The text, if it is not kept.")] = None,
    file: options.TextFiles = None,
    voice: options.VoiceName = None,
    ref_audio: options.ReferenceClip = None,
    prompt_audio: options.PromptClip = None,
    prompt_text: options.PromptText = None,
    cast: CastFile = None,
    lexicon: Lexicons = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make the speech of a file again from what the file says of itself, and compare.

    The exit code is 0 only if the sound is equal, to the byte.
    """
    from voxcli.cli.commands.chosen import engine_settings
    from voxcli.cli.commands.speak import speak
    from voxcli.cli.commands.words.text import with_words
    from voxcli.cli.reports import open_report
    from voxcli.synthesis.comparison import compare
    from voxcli.synthesis.verification import verify

    console = Console(quiet=quiet or json)
    with logs_on_console(console, verbose=False), open_report(Console(quiet=True), None, context.obj) as report:
        known = verify(made)
        wanted = _provenance_of(made, known)
        who = VoiceOptions(voice=voice, ref_audio=ref_audio, prompt_audio=prompt_audio, prompt_text=prompt_text)
        job = _job(
            wanted,
            _text_of(wanted, text, file),
            _same_engine(wanted.model, engine_settings(engine)),
            find_voice(wanted, who),
        )
        job = with_words(
            context, WordsOptions(cast=cast, lexicon=lexicon, no_lexicon=_no_lexicon(wanted)), job, console
        )
        with _place(output, made) as path:
            job = _writing(job, path, wanted, wanted.voice.name if who.voice is None else who.voice, force=force)
            if not console.quiet:
                console.note(f"making {made} again")
            speak(job, Console(quiet=True), report, context.obj.raise_if_interrupted)
            compared = compare(made, path, known.verdict)
    if json:
        write_json(_as_json(made, output, compared))
    else:
        write_lines([f"{made}: {compared.in_words}", *(f"  {reason}" for reason in compared.reasons)])
    if not compared.equal:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _provenance_of(file: Path, known: "Verification") -> "Provenance":
    from voxcli.errors import RequestError

    if known.marking.provenance is None:
        raise RequestError(f"{file} does not say what made it, so it cannot be made again: {known.explanation}.")
    if known.marking.provenance.text_digest is None:
        raise RequestError(f"{file} was stopped while its text was arriving: nothing tells which text it was.")
    return known.marking.provenance


def _text_of(wanted: "Provenance", text: str | None, files: list[str] | None) -> str:
    """Return the text, from the file itself or as the user gives it.

    Raises:
        RequestError: it is missing, or another one.
    """
    from voxcli.cli.text_source import known_text, open_text_file
    from voxcli.errors import RequestError
    from voxcli.synthesis.identity import digest_of_text

    if text is not None and files:
        raise typer.BadParameter("Give the text or a file, not both.", param_hint="--text")
    if text is None and not files:
        if wanted.text is None:
            raise RequestError(
                "The text is not in the file, only its hash.", on_command_line="Give it with -f FILE or --text TEXT."
            )
        text = wanted.text
    elif files:
        read = [known_text(open_text_file(Path(file))) for file in files]
        text = "\n\n".join(part for part in read if part is not None)
    assert text is not None
    for candidate in (text, text.rstrip("\n"), f"{text}\n"):
        if digest_of_text(candidate) == wanted.text_digest:
            return candidate
    raise RequestError(
        f"This is not the text that was spoken: its hash is {digest_of_text(text)[:12]}, not "
        f"{(wanted.text_digest or '')[:12]}."
    )


def _same_engine(model: "ModelIdentity", given: "EngineSettings") -> "EngineSettings":
    """Return the engine that made the file, but for what the user sets otherwise."""
    from voxcli.engines.settings import AUTO
    from voxcli.errors import RequestError
    from voxcli.synthesis.identity import SERVER

    if given.remote:
        return given
    if model.device == SERVER:
        raise RequestError(
            f"It was made by a server with {model.name}.", on_command_line="Name the server with --remote URL."
        )
    if model.lora and not given.local.lora:
        raise RequestError(f"{model.name} spoke with a LoRA.", on_command_line="Name it with --lora PATH.")
    dtype, _, quantize = (model.precision or "").partition(" ")
    local = given.local
    if model.weights and model.name != "kokoro":
        local = replace(
            local,
            dtype=dtype if local.dtype == AUTO and dtype else local.dtype,
            quantize=local.quantize or quantize or None,
            # Another device than a CPU may not be there; the one that is chosen is compared.
            device="cpu" if local.device == AUTO and model.device == "cpu" else local.device,
        )
    return replace(given, model=given.model or model.name, local=local)


def find_voice(wanted: "Provenance", who: VoiceOptions) -> "Voice":
    """Return the voice that spoke: one of the model's, one of the user's own by its recording, or as it is given.

    Raises:
        RequestError: its recording is nowhere to be found, or the one that is given is another.
    """
    from voxcli.cli.commands.voice_choice import voice_of_options
    from voxcli.cli.settings.files import voice_library
    from voxcli.errors import RequestError
    from voxcli.synthesis.identity import VoiceIdentity
    from voxcli.synthesis.request import Voice

    voice = wanted.voice
    if who.ref_audio or who.prompt_audio or who.voice:
        given = voice_library().load(who.voice) if who.voice else voice_of_options(who)
        given = replace(given, style=given.style or voice.style)
        if VoiceIdentity.of(given).deciding != voice.deciding:
            raise RequestError("This is not the voice that spoke: its recording or description is another one.")
        return given
    if not (voice.reference or voice.prompt):
        return Voice(name=None if voice.style and _is_own(voice.name) else voice.name, style=voice.style)
    library = voice_library()
    for name in sorted(library.names(), key=lambda name: name != voice.name):
        kept = replace(library.load(name), style=voice.style)
        if VoiceIdentity.of(kept).deciding == voice.deciding:
            return kept
    called = f" {voice.name!r}" if voice.name else ""
    raise RequestError(
        f"The voice{called} that spoke is not among yours: none has its recording "
        f"({(voice.reference or voice.prompt or '')[:12]}).",
        on_command_line="Give the recording with --ref-audio, or with --prompt-audio and --prompt-text.",
    )


def _is_own(name: str | None) -> bool:
    """Whether a name is that of a description that the user keeps, and not of a voice that the model has."""
    from voxcli.voices.named import find_named

    return name is not None and find_named(name) is None


def _job(wanted: "Provenance", text: str, engine: "EngineSettings", voice: "Voice") -> "SpeakJob":
    from voxcli.cli.commands.speak_job import SpeakJob
    from voxcli.cli.text_source import Whole

    return SpeakJob(
        text=Whole(text),
        markdown=wanted.settings.get("markdown") is True,
        split=wanted.settings.get("split") is not False,
        engine=engine,
        delivery=_delivery(wanted, voice),
        targets=[],
        styled_by_option=True,
        auto_steps=wanted.settings.get("steps") == "auto",
    )


def _delivery(wanted: "Provenance", voice: "Voice") -> "Delivery":
    """Return the delivery of the settings.

    Raises:
        RequestError: one of them is out of range.
    """
    from voxcli.errors import RequestError
    from voxcli.synthesis.pipeline import Delivery
    from voxcli.synthesis.request import Sampling

    sampling = ("steps", "guidance", "seed", "min_patches", "max_patches", "retries")
    manner = ("speed", "volume", "gap_seconds", "normalize", "denoise")
    known = {name: value for name, value in wanted.settings.items() if value != "auto"}
    try:
        return Delivery(
            voice=voice,
            language=wanted.language,
            sampling=Sampling(**{name: known[name] for name in sampling if name in known}),
            **{name: known[name] for name in manner if name in known},
        )
    except TypeError as error:
        raise RequestError(f"The settings in the file are not valid: {error}.") from error


def _no_lexicon(wanted: "Provenance") -> bool:
    return "lexicon" not in wanted.settings


@contextmanager
def _place(output: Path | None, made: Path) -> Iterator[Path]:
    """Yield where the new file is written: where the user wants it, or in a folder that is deleted again."""
    if output:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="voxcli-") as folder:
        yield Path(folder) / f"again{made.suffix.lower()}"


def _writing(job: "SpeakJob", path: Path, wanted: "Provenance", voice_name: str | None, *, force: bool) -> "SpeakJob":
    from voxcli.audio.format import AudioFormat, find_format
    from voxcli.errors import RequestError
    from voxcli.sinks import ToFile

    format = find_format(path)
    if not isinstance(format, AudioFormat):
        raise RequestError(f"{path} has no known audio format. Name a file with the suffix of the first one.")
    job = replace(job, targets=[ToFile(path, format, overwrite=force)])
    return job.described(MetadataOptions(keep_text=wanted.text is not None), voice_name)


def _as_json(made: Path, output: Path | None, compared: "Remake") -> dict[str, Any]:
    return {
        "file": str(made),
        "output": str(output) if output else None,
        "equal": compared.equal,
        "same_file": compared.same_file,
        "difference_db": compared.difference_db,
        "reasons": list(compared.reasons),
    }
