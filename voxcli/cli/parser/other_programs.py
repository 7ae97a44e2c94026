"""Words of other speech programs: what they are called here.

From the command lines of voxcpm, edge-tts, piper, kokoro-tts, coqui's tts, espeak-ng, macOS's say, gTTS, F5-TTS and
ollama, and the parameters of OpenAI's and ElevenLabs' APIs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer

_NORMAL_WORDS_PER_MINUTE = 175
"""The default of espeak-ng and of macOS's say."""

SAME = {
    **dict.fromkeys(["-t", "--gen-text", "--input-text", "--sentence", "--input"], "--text"),
    **dict.fromkeys(["--input-file", "--text-file", "--gen-file", "--txt-file", "--filename"], "--file"),
    **dict.fromkeys(
        [
            *(
                "-w",
                "--output-path",
                "--output-file",
                "--out",
                "--out-path",
                "--out-file",
                "--outfile",
                "--write-media",
            ),
            *("--save", "--save-to", "--wav", "--output-audio", "--audio-file"),
        ],
        "--output",
    ),
    **dict.fromkeys(["--audio-format", "--output-format", "--response-format", "--file-format"], "--format"),
    **dict.fromkeys(["--overwrite", "-y", "--yes"], "--force"),
    **dict.fromkeys(["--speaker", "--voice-id", "--voice-name", "--speaker-id", "--speaker-idx", "--spk"], "--voice"),
    **dict.fromkeys(
        ["--model-id", "--model-name", "--model-path", "--hf-model-id", "--ckpt", "--checkpoint"], "--model"
    ),
    **dict.fromkeys(
        ["--lang-code", "--language-code", "--language-id", "--language-idx", "--locale", "--text-lang"], "--language"
    ),
    **dict.fromkeys(["--control", "--style", "--instructions", "--instruction", "--description"], "--instruct"),
    **dict.fromkeys(["--cfg-value", "--cfg-scale", "--cfg-strength", "--guidance", "--guidance-scale"], "--cfg"),
    **dict.fromkeys(["--inference-timesteps", "--timesteps", "--nfe-step", "--num-steps", "--sample-steps"], "--steps"),
    **dict.fromkeys(["--random-seed", "--manual-seed"], "--seed"),
    **dict.fromkeys(["--min-length"], "--min-len"),
    **dict.fromkeys(["--max-length"], "--max-len"),
    **dict.fromkeys(["--retry-badcase-max-times"], "--retry-badcase"),
    **dict.fromkeys(
        ["-ra", "--reference", "--reference-wav", "--reference-wav-path", "--ref-wav", "--speaker-wav", "--clone"],
        "--ref-audio",
    ),
    **dict.fromkeys(["-pa", "--prompt-wav", "--prompt-wav-path", "--prompt-speech"], "--prompt-audio"),
    **dict.fromkeys(["-pt", "--prompt-transcript"], "--prompt-text"),
    **dict.fromkeys(["--prompt-file", "-pf"], "--prompt-text-file"),
    **dict.fromkeys(["--reference-text"], "--ref-text"),
    **dict.fromkeys(["--gain", "--loudness"], "--volume"),
    **dict.fromkeys(["--lora-path", "--lora-weights"], "--lora"),
    **dict.fromkeys(["--sentence-silence", "--pause"], "--gap"),
    **dict.fromkeys(["--output-device", "--speaker-device", "--audio-output"], "--audio-device"),
    **dict.fromkeys(["--server", "--base-url", "--api-base", "--endpoint"], "--remote"),
    **dict.fromkeys(["--listen", "--bind", "--address"], "--host"),
    **dict.fromkeys(["--listen-port", "-p"], "--port"),
    **dict.fromkeys(["--repeat", "--iterations", "--num-runs"], "--runs"),
    **dict.fromkeys(["--warmups", "--num-warmups"], "--warmup"),
    **dict.fromkeys(["--parallel", "--max-concurrency"], "--concurrency"),
    **dict.fromkeys(["--num-threads"], "--threads"),
    **dict.fromkeys(["--keepalive"], "--keep-alive"),
}
"""Options that take the same value."""

FLAGS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(["--cuda", "--use-cuda", "--gpu"], ("--device", "cuda")),
    **dict.fromkeys(["--cpu", "--no-gpu"], ("--device", "cpu")),
    **dict.fromkeys(["--stdout", "--pipe-out", "--output-raw"], ("--output", "-")),
    "--stdin": ("--file", "-"),
    "--load-denoiser": ("--denoise",),
    **dict.fromkeys(["--silent"], ("--quiet",)),
    "--debug": ("--verbose",),
    **dict.fromkeys(["--stream", "--streaming", "--no-optimize", "--no-denoiser", "--local-files-only"], ()),
}
"""Flags, and what they are here. Nothing stands for what is always so."""

HINTS = {
    "--list-voices": "Voices are listed by: voxcli voices",
    "--list-models": "Models are listed by: voxcli models",
    "--list-languages": "Languages are listed by: voxcli voices list",
    "--list-devices": "Loudspeakers are listed by: voxcli devices",
    "--pitch": "The pitch cannot be set. Choose another voice with --voice.",
    "--stability": "There is no such control. VoxCPM models have --cfg, and --instruct describes the manner.",
    "--similarity-boost": "There is no such control. --cfg says how closely the voice is followed.",
    "--temperature": "VoxCPM models are not sampled with a temperature. Use --cfg, --steps and --seed.",
    "--top-p": "VoxCPM models are not sampled from a distribution of tokens. Use --cfg, --steps and --seed.",
    "--slow": "Use --speed, where 1 is normal: --speed 0.7",
    "--ssml": "SSML is not read yet. [pause 0.5s] in the text inserts silence.",
    "--write-subtitles": "Subtitles are not written yet. --json tells the times.",
    "--write-srt": "Subtitles are not written yet. --json tells the times.",
    "--output-dir": "Name each file with --output FILE. For many texts: voxcli batch LIST -d FOLDER",
    "-d": "Name each file with --output FILE. For many texts: voxcli batch LIST -d FOLDER",
    "--noise-scale": "There is no such control for these voices.",
    "--noise-w": "There is no such control for these voices.",
    "--config": "Settings are read from voxcli.toml: see voxcli config show",
    "--api-key": "Keys are not given on a command line, where others can see them: voxcli keys set SERVER",
    "--key": "Keys are not given on a command line, where others can see them: voxcli keys set SERVER",
    "--keep-alive": "Models stay loaded for say, clone, load and voices audition. voxcli serve has --idle-seconds.",
    "--no-warm": "It is for say, clone and voices audition. Other commands leave no model loaded.",
    "--reload": "The server has no such mode. Start it again.",
    "--workers": "One process serves all requests. --slots sets how many streams run at once.",
}
"""Options that have no counterpart, and what to do instead."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(["speak", "tts", "synthesize", "synth", "generate", "read", "design", "infer", "speech"], ("say",)),
    **dict.fromkeys(["server", "api", "start"], ("serve",)),
    **dict.fromkeys(["benchmark"], ("bench",)),
    **dict.fromkeys(["pull", "download", "install"], ("models", "pull")),
    **dict.fromkeys(["list-voices", "voice", "--list-voices"], ("voices",)),
    **dict.fromkeys(["list-models", "model", "--list-models"], ("models",)),
    **dict.fromkeys(["list-devices", "--list-devices"], ("devices",)),
    **dict.fromkeys(["status", "running", "top"], ("ps",)),
    **dict.fromkeys(["unload", "kill", "shutdown"], ("stop",)),
    **dict.fromkeys(["preload", "warm", "warmup", "warm-up"], ("load",)),
    **dict.fromkeys(["version", "-V"], ("--version",)),
    **dict.fromkeys(["settings"], ("config",)),
    **dict.fromkeys(["check", "validate", "diagnose"], ("doctor",)),
    **dict.fromkeys(["man", "manual"], ("help", "man")),
    **dict.fromkeys(["audition", "preview"], ("voices", "audition")),
}
"""Commands at the top that are called otherwise here."""

_LIST = "voxcli voices lists the voices, voxcli models the models."
_REMOVE = "voxcli voices rm {name} deletes a voice, voxcli models rm {name} a model."
_SHOW = "voxcli voices show {name} describes a voice, voxcli models show {name} a model."
COMMAND_HINTS = {
    **dict.fromkeys(["list", "ls"], _LIST),
    **dict.fromkeys(["rm", "remove", "delete", "del", "uninstall"], _REMOVE),
    **dict.fromkeys(["show", "info", "inspect"], _SHOW),
    "convert": "Texts become files with: voxcli batch LIST -d FOLDER. A list may name files of text.",
    "run": 'To speak with a model: voxcli say --model {name} "Hello"',
    "play": 'voxcli speaks texts: voxcli say "Hello". It does not play sound files.',
    "record": "To record a voice and save it: voxcli clone --record 10 --name NAME",
    **dict.fromkeys(["transcribe", "stt", "asr"], "voxcli speaks; it does not write down what is said."),
    **dict.fromkeys(["login", "auth"], "API keys are saved with: voxcli keys set SERVER"),
    **dict.fromkeys(["upgrade", "update"], "voxcli is updated by the program that installed it, such as pip."),
    **dict.fromkeys(["ui", "web", "gui", "demo"], "There is no such page. For an HTTP server: voxcli serve"),
    "completion": "To complete commands with Tab: voxcli --install-completion",
    **dict.fromkeys(["search"], "Models that can be installed are listed by: voxcli models"),
}
"""Commands at the top that need more than another name."""

_IN_SETTINGS = "Settings are written into voxcli.toml by hand, as in: speed = 1.2. Its place: voxcli config show"
GROUP_HINTS: Mapping[tuple[str, str], str] = {
    **dict.fromkeys(
        [("models", word) for word in ("use", "default", "select", "set")],
        'To speak with a model: voxcli say --model {name}. To keep it: model = "{name}" in voxcli.toml',
    ),
    **dict.fromkeys([("config", word) for word in ("set", "edit", "unset", "init", "path")], _IN_SETTINGS),
    ("models", "run"): 'To speak with a model: voxcli say --model {name} "Hello"',
    ("voices", "record"): "To record a voice: voxcli clone --record 10 --name {name}",
    ("voices", "design"): 'To describe a voice: voxcli say --instruct "an old man" "Hello"',
}
"""Commands of a group that have no counterpart, and what to do instead."""

_RENAMED = {
    "list": ["ls", "all"],
    "show": ["info", "describe", "inspect", "cat", "get"],
    "add": ["create", "new", "save", "clone", "register"],
    "rename": ["mv", "move"],
    "audition": ["play", "preview", "test", "try", "listen", "sample", "demo"],
    "default": ["use", "set-default", "select", "choose"],
    "pull": ["download", "get", "install", "fetch", "add"],
    "set": ["add", "save", "create", "login"],
    "import": ["load"],
    "export": ["dump", "share"],
    "profiles": ["servers", "remotes"],
}
_RESEMBLING = {"rm": ["delete", "remove", "del", "uninstall", "erase", "forget"]}
"""Deleting is suggested, not done."""


@dataclass(frozen=True, slots=True)
class Translation:
    """An option of another program in our words."""

    words: tuple[str, ...]
    takes_value: bool
    """Whether the value of the option is used up."""


def translate(name: str, value: str | None, options: Mapping[str, Any]) -> Translation | None:
    """Translate an option that a command does not have; None if it has nothing of the kind.

    Args:
        value: the word after it, if there is one.
        options: of the command, by name.

    Raises:
        typer.BadParameter: it has another meaning here.
    """
    if name in ("--rate", "--length-scale", "-r") and "--speed" in options:
        return _translate_rate(name, value)
    if (ours := SAME.get(name)) and ours in options:
        return Translation((ours,), takes_value=False) if value is None else _with_value(ours, value, options[ours])
    if (flags := FLAGS.get(name)) is not None and (not flags or flags[0] in options):
        return Translation(flags, takes_value=False)
    return None


def _with_value(ours: str, value: str, option: Any) -> Translation:
    return Translation((ours,), takes_value=False) if option.is_flag else Translation((ours, value), takes_value=True)


def as_factor(written: str) -> str:
    """Return a change in percent, as edge-tts and SSML write it, as a factor; other words unchanged."""
    if found := re.fullmatch(r"([+-])(\d+(?:\.\d+)?)%", written):
        return f"{1 + float(found[1] + found[2]) / 100:g}"
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)%", written):
        return f"{float(found[1]) / 100:g}"
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)[x×]", written):
        return found[1]
    return written


def speed_of(words_per_minute: float) -> str:
    """Return the speed that corresponds to a rate in words per minute."""
    return f"{words_per_minute / _NORMAL_WORDS_PER_MINUTE:.2g}"


def _translate_rate(name: str, value: str | None) -> Translation:
    try:
        number = float(as_factor(value or ""))
    except ValueError:
        raise typer.BadParameter(f"Use --speed, where 1 is normal and 2 is twice as fast, not {name}.") from None
    if name == "--length-scale" and number > 0:
        number = 1 / number
    elif number > 4:
        raise typer.BadParameter(
            f"{name} {value} is in words per minute. Use --speed, where 1 is normal: --speed {speed_of(number)}"
        )
    return Translation(("--speed", f"{number:g}"), takes_value=True)


def same_command(word: str, commands: Mapping[str, Any]) -> str | None:
    """Return the command of a group that another program calls so."""
    return next((ours for ours, others in _RENAMED.items() if word in others and ours in commands), None)


def resembling_command(word: str, commands: Mapping[str, Any]) -> str | None:
    """Return the command of a group to suggest for a word of the same meaning."""
    return next((ours for ours, others in _RESEMBLING.items() if word in others and ours in commands), None)
