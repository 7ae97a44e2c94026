"""Local engine: a VoxCPM model that runs on this machine."""

import hashlib
import secrets
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.engines.settings import AUTO, LocalSettings
from voxcli.engines.spelling import spelled_out
from voxcli.errors import NotFound, RequestError, did_you_mean
from voxcli.models.cache import SNAPSHOTS
from voxcli.models.checkpoint import describe_weights, fingerprint_checkpoint, fingerprint_weights
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.loading import OnLoading, ignore_loading
from voxcli.synthesis.request import (
    Clip,
    GpuMemory,
    Prompt,
    Sampling,
    Speech,
    SynthesisRequest,
    Voice,
)
from voxcli.version import __version__
from voxcli.voices.anchors import LONGEST_SECONDS, Anchors
from voxcli.voices.named import ANCHOR_TEXTS, FIRST_LANGUAGE, NAMED_VOICES, NamedVoice, anchor_language, find_named
from voxcli.voxcpm.codec.resampling import sinc_resampled
from voxcli.voxcpm.device import Placement, Precision, choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.memory import gpu_memory
from voxcli.voxcpm.model import Utterance
from voxcli.voxcpm.network.config import CONFIG_FILE, Architecture, abilities_of_model
from voxcli.voxcpm.network.sequence import AudioSegment
from voxcli.voxcpm.runtime.prompt_cache import PromptCache
from voxcli.voxcpm.weights.lora import LORA_CONFIG
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder
from voxcli.voxcpm.weights.quantization import INT8

_LANGUAGES = {
    Architecture.V1: "zh en",
    Architecture.V2: "ar my zh da nl en fi fr de el he hi id it ja km ko lo ms no pl pt ru es sw sv tl th tr vi",
}
"""From the model cards (huggingface.co/openbmb). The models detect the language from the text."""

_SEED_BITS = 32


class LocalEngine:
    """A VoxCPM model as an `Engine`. Concurrent streams are computed as one batch."""

    draws_voices = True
    voice_names = frozenset(NAMED_VOICES)

    def __init__(
        self,
        folder: Path,
        settings: LocalSettings,
        *,
        name: str | None = None,
        prepared: PreparedFolder | None = None,
        on_loading: OnLoading = ignore_loading,
    ) -> None:
        """Load a checkpoint.

        Args:
            name: for messages; None takes that of the folder, which is a hash in a hub's cache.
            prepared: where prepared weights are kept; None takes the folder of the settings, if they have one.
            on_loading: receives the progress.

        Raises:
            ModelError: the checkpoint is damaged or not a VoxCPM model.
            DeviceError: the device does not exist or is too small.
        """
        # int8 on a CPU is faster, and more exact, with float32 activations between the products.
        dtype = Precision.FLOAT32 if settings.quantize == INT8 and settings.dtype == AUTO else settings.dtype
        placement = self.placement = choose_placement(settings.device, dtype)
        self._model = load_model(
            folder,
            placement,
            quantize=settings.quantize,
            threads=settings.threads,
            lora=settings.lora,
            slots=settings.slots,
            lazy_graphs=settings.lazy_graphs,
            kernels=settings.kernels,
            prepared=prepared or (PreparedFolder(settings.prepared) if settings.prepared else None),
            on_loading=on_loading,
        )
        self.slots = self._model.slots
        self.abilities = abilities_of_model(self._model.config.architecture)
        self._name = name or folder.name
        self._folder, self._settings = folder, settings
        # A LoRA changes the encoder too, and may be trained again under the same name: not kept on disk.
        kept = None if settings.lora else settings.clips
        self._clips = PromptCache(kept, _origin_of_clips(folder, placement, settings), placement.device)
        self._anchors = Anchors(settings.anchors, lambda: _origin_of_anchors(folder, placement, settings))

    @cached_property
    def identity(self) -> ModelIdentity:
        """The model by its content. Reads parts of the weights."""
        folder, placement, settings = self._folder, self.placement, self._settings
        return ModelIdentity(
            name=self._name.partition("@")[0],
            revision=folder.name if folder.parent.name == SNAPSHOTS else None,
            weights=fingerprint_checkpoint(folder),
            lora=_digest_of_lora(settings.lora).hex() if settings.lora else None,
            precision=" ".join(filter(None, (str(placement.dtype).removeprefix("torch."), settings.quantize))),
            device=placement.device.type,
        )

    @property
    def sample_rate(self) -> int:
        """Hz, of the generated speech."""
        return self._model.sample_rate

    def draw_seed(self) -> int:
        """Draw a seed for a request that names none, so that it can be reported and used again."""
        return secrets.randbits(_SEED_BITS)

    def stream(self, request: SynthesisRequest) -> Speech:
        self._check(request)
        if request.voice.name:
            request = replace(request, voice=self._named_voice(request, request.voice.name))
        chunks = self._generated(self._utterance(request), request.sampling.retries)
        if request.speed != 1:
            from voxcli.audio.tempo import retimed  # loads libav's filters, which only other speeds need

            chunks = retimed(chunks, request.speed)
        yield from chunks

    def languages_of(self, voice: str) -> tuple[str, ...]:
        """Return the languages of the model: all of its voices speak all of them."""
        return tuple(_LANGUAGES[self._model.config.architecture].split())

    def gpu_memory(self) -> GpuMemory | None:
        return gpu_memory(self.placement.device)

    def close(self) -> None:
        """Release the model. Streams that still run keep their memory until they end."""
        self._clips.clear()
        self._model.close()

    def _generated(self, utterance: Utterance, retries: int) -> Speech:
        speech = self._model.stream_whole(utterance, retries) if retries else self._model.stream(utterance)
        for samples in speech:
            yield AudioChunk(samples, self.sample_rate)

    def _utterance(self, request: SynthesisRequest) -> Utterance:
        """Translate a request for the model.

        Raises:
            VoxError: this model cannot do what is asked, or a clip cannot be decoded.
        """
        voice, sampling = request.voice, request.sampling
        styled = voice.style and self.abilities.styles
        text = f"({voice.style}){request.text}" if styled else request.text
        if request.normalize:
            text = spelled_out(text, request)
        return Utterance(
            text=text,
            transcript=voice.prompt.transcript if voice.prompt else "",
            prompt=self._encoded(voice.prompt.clip, request, pad_left=True) if voice.prompt else None,
            reference=self._encoded(voice.reference, request, pad_left=False) if voice.reference else None,
            steps=sampling.steps,
            guidance=sampling.guidance,
            seed=self.draw_seed() if sampling.seed is None else sampling.seed,
            min_patches=sampling.min_patches,
            max_patches=sampling.max_patches,
        )

    def _check(self, request: SynthesisRequest) -> None:
        voice, architecture = request.voice, self._model.config.architecture
        if voice.name and not find_named(voice.name):
            raise NotFound(
                f"There is no voice {voice.name!r}.{did_you_mean(voice.name, NAMED_VOICES)} "
                f"The model's own voices: {', '.join(NAMED_VOICES)}.",
                on_command_line="To list yours too: voxcli voices",
            )
        if architecture is Architecture.V1 and voice.reference:
            raise RequestError(
                f"{self._name} needs the transcript of a clip to imitate it. VoxCPM2 needs none.",
                on_command_line="For a clip on the command line: --prompt-audio CLIP --prompt-text TEXT. For a saved "
                "voice, save it again: voxcli clone --force --name NAME --prompt ref.wav with --prompt-text TEXT, with "
                "--prompt-text-file FILE, or with the transcript in ref.txt beside it.",
            )
        known = _LANGUAGES[architecture].split()
        if request.language and request.language.lower().partition("-")[0] not in known:
            raise RequestError(f"{self._name} does not speak {request.language!r}. It speaks: {', '.join(known)}.")

    def _named_voice(self, request: SynthesisRequest, name: str) -> Voice:
        """Return a named voice with its anchor, which is drawn when the voice is first used.

        VoxCPM2 speaks in a manner or in a language that the anchor is not in if it imitates the anchor instead of
        continuing it.
        """
        named = find_named(name)
        assert named, "checked"
        language = anchor_language(request.text, request.language, request.text_language)
        style = request.voice.style
        if self._model.config.architecture is Architecture.V2 and (style or language is None):
            return Voice(style=style, reference=self._anchor(named, FIRST_LANGUAGE).clip)
        return Voice(prompt=self._anchor(named, language or FIRST_LANGUAGE))

    def _anchor(self, named: NamedVoice, language: str) -> Prompt:
        """Return the anchor of a voice, which does not depend on what is spoken with it, or how."""
        # In a second language the voice continues what it said in the first, so that the speaker is the same.
        before = None if language == FIRST_LANGUAGE else self._anchor(named, FIRST_LANGUAGE)
        config, usual = self._model.config, Sampling()
        described = config.architecture is Architecture.V2 and before is None
        text = f"({named.description}){ANCHOR_TEXTS[language]}" if described else ANCHOR_TEXTS[language]

        def speak(seed: int) -> tuple[AudioChunk, bool]:
            utterance = Utterance(
                text=text,
                transcript=before.transcript if before else "",
                prompt=self._encoded_alone(before.clip) if before else None,
                steps=usual.steps,
                guidance=usual.guidance,
                seed=seed,
                min_patches=usual.min_patches,
                max_patches=round(LONGEST_SECONDS * self.sample_rate / config.patch_samples),
            )
            samples, ended = self._model.generate_alone(utterance)
            return AudioChunk(samples, self.sample_rate), ended

        return self._anchors.find(named, language, speak)

    def _encoded_alone(self, clip: Clip) -> AudioSegment:
        sound = _decoded(clip)
        return self._model.encode_clip_alone(self._at_input_rate(sound), pad_left=True)

    def _encoded(self, clip: Clip, request: SynthesisRequest, *, pad_left: bool) -> AudioSegment:
        """Encode a clip, or take it from the cache."""

        def encode() -> AudioSegment:
            sound = _decoded(clip)
            if request.denoise:
                from voxcli.audio.denoise import denoised  # may load a network of its own

                sound = denoised(sound)
            return self._model.encode_clip(self._at_input_rate(sound), pad_left=pad_left)

        key = bytes((request.denoise, pad_left)) + clip.data
        return self._clips.encoded(key, encode)

    def _at_input_rate(self, sound: AudioChunk) -> Samples:
        """Resample as the reference implementation does, which differs between the versions."""
        config = self._model.config
        if config.architecture is Architecture.V2:
            from voxcli.audio.resample import resampled_whole

            return resampled_whole(sound, config.codec.input_rate).samples
        return sinc_resampled(sound.samples, sound.sample_rate, config.codec.input_rate, self._model.call)


def _decoded(clip: Clip) -> AudioChunk:
    from voxcli.audio.decode import decode  # loads libav, which a voice without clips does not need

    return decode(clip.data, name=clip.name)


def _origin_of_clips(folder: Path, placement: Placement, settings: LocalSettings) -> tuple[bytes, ...]:
    """List what an encoded clip depends on besides the clip: program, weights, config, device and precision."""
    described = (__version__, describe_weights(folder), placement, settings.quantize)
    return (*(str(part).encode() for part in described), (folder / CONFIG_FILE).read_bytes())


def _origin_of_anchors(folder: Path, placement: Placement, settings: LocalSettings) -> bytes:
    """Return what the anchors of named voices depend on: the model's content, wherever it is, and how it is computed.

    The version of the program is left out: a voice stays the same when the program is upgraded.
    """
    parts = [fingerprint_weights(folder), placement.device.type, str(placement.dtype), settings.quantize]
    described = "\0".join(map(str, parts)).encode() + (folder / CONFIG_FILE).read_bytes()
    return described + _digest_of_lora(settings.lora) if settings.lora else described


def _digest_of_lora(path: Path) -> bytes:
    files = sorted(path.iterdir()) if path.is_dir() else [path, path.with_name(LORA_CONFIG)]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.digest()
