"""Parity cases, asked of the published package and of voxcli, and the synthetic clips that they use."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from tests.checkpoints import CodecFile, ModelFile, Stored


@dataclass(frozen=True, slots=True)
class Recording:
    """A synthetic clip: a few tones that swell and fade, written as a WAV file of 32-bit floats."""

    seed: int
    seconds: float
    sample_rate: int  # Hz
    channels: int = 1


def write_recording(path: Path, recording: Recording) -> None:
    draw = random.Random(recording.seed)
    times = np.arange(round(recording.seconds * recording.sample_rate)) / recording.sample_rate
    channels = [_tones(draw, times) for _ in range(recording.channels)]
    soundfile.write(path, np.stack(channels, axis=1).astype(np.float32), recording.sample_rate, subtype="FLOAT")


def _tones(draw: random.Random, times: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> np.ndarray:
    """Return tones of 90 to 3400 Hz, at most 0.8 together."""
    sound = np.zeros_like(times)
    for _ in range(8):
        frequency, phase, swell = draw.uniform(90, 3400), draw.uniform(0, 6.28), draw.uniform(0.5, 6)
        sound += 0.1 * np.sin(2 * np.pi * frequency * times + phase) * (0.5 + 0.5 * np.cos(2 * np.pi * swell * times))
    return sound


Size = Literal["tiny", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One text spoken by one random checkpoint in one way."""

    name: str
    family: str
    text: str
    checkpoint: int = 1
    """Seed of the weights; `size` to `changes` say the rest, see `write_checkpoint`."""
    size: Size = "tiny"
    weights: ModelFile = "safetensors"
    codec: CodecFile = "pth"
    stored: Stored = "float32"
    changes: Mapping[str, Any] = field(default_factory=dict)
    lora: int | None = None
    """Seed of the LoRA's weights."""
    style: str | None = None
    prompt: Recording | None = None
    transcript: str = ""
    reference: Recording | None = None
    seed: int = 0
    steps: int = 10
    guidance: float = 2.0
    min_patches: int = 2
    max_patches: int | None = None

    @property
    def whole_text(self) -> str:
        """As the package wants it: it knows a style only as the text's beginning."""
        return f"({self.style}){self.text}" if self.style else self.text

    def redrawn(self) -> "Case":
        """Return the same question with other noise and other clips."""
        return replace(
            self,
            name=f"{self.name}'",
            seed=self.seed + 1,
            prompt=self.prompt and replace(self.prompt, seed=self.prompt.seed + 1),
            reference=self.reference and replace(self.reference, seed=self.reference.seed + 1),
        )


MUP = {"lm_config": {"use_mup": True}}

CASES = (
    Case(
        name="plain-05b",
        family="voxcpm-0.5b",
        text="你好世界，hello the world 人工智能！今天 中国人 10:30…龘",
        weights="bin",
        codec="pth-bare",
        seed=7,
        min_patches=4,
        max_patches=5,
    ),
    Case(
        name="mup-dense-05b",
        family="voxcpm-0.5b",
        checkpoint=2,
        changes=MUP | {"audio_vae_config": {"depthwise": False}},
        text="语音合成 and the rest",
        seed=31,
        steps=4,
        guidance=3.0,
        max_patches=4,
        min_patches=4,
    ),
    Case(
        name="stop-05b",
        family="voxcpm-0.5b",
        checkpoint=36,
        text="今天天气很好, the world is in the sun and on the hill",
        seed=12,
    ),
    Case(
        name="limit-05b",
        family="voxcpm-0.5b",
        checkpoint=4,
        text="a",
        prompt=Recording(seed=41, seconds=0.61, sample_rate=16000),
        transcript="sing the other song",
        seed=53,
        steps=4,
        min_patches=100,
    ),
    Case(
        name="short-prompt-05b",
        family="voxcpm-0.5b",
        checkpoint=5,
        weights="bin-state-dict",
        codec="safetensors",
        text="好的。",
        prompt=Recording(seed=2, seconds=0.07, sample_rate=22050, channels=2),
        transcript="嗯，",
        seed=14,
        steps=10,
        guidance=1.0,
        min_patches=4,
        max_patches=5,
    ),
    Case(
        name="plain-15",
        family="voxcpm-1.5",
        stored="bfloat16",
        text="The wind is on the hill and 春风 is here.",
        seed=15,
        guidance=1.0,
        max_patches=3,
    ),
    Case(
        name="white-space-15",
        family="voxcpm-1.5",
        checkpoint=2,
        text=" \t hello\n\n 世界 \u3000 and\u00a0on\r\n",
        seed=16,
        steps=1,
        max_patches=3,
    ),
    Case(
        name="continuation-15",
        family="voxcpm-1.5",
        checkpoint=3,
        text="今天也要说下去。",
        prompt=Recording(seed=23, seconds=0.9, sample_rate=48000),
        transcript="你好 ",
        seed=37,
        guidance=3.0,
        max_patches=3,
    ),
    Case(
        name="lora-continuation-15",
        family="voxcpm-1.5",
        checkpoint=4,
        lora=1,
        text="and the other one.",
        prompt=Recording(seed=24, seconds=0.48, sample_rate=44100),
        transcript="One in ten",
        seed=38,
        steps=4,
        max_patches=3,
    ),
    Case(
        name="style-2",
        family="voxcpm-2",
        text="Hello, 世界!",
        style="calm",
        seed=19,
        max_patches=3,
    ),
    Case(
        name="reference-2",
        family="voxcpm-2",
        checkpoint=2,
        stored="bfloat16",
        text="人工智能 是 什么?",
        reference=Recording(seed=5, seconds=0.7, sample_rate=44100, channels=2),
        seed=20,
        steps=10,
        guidance=3.0,
        max_patches=3,
    ),
    Case(
        name="continuation-2",
        family="voxcpm-2",
        checkpoint=3,
        codec="safetensors",
        text="世界 and the wind",
        prompt=Recording(seed=6, seconds=1.03, sample_rate=24000),
        transcript="你好，",
        seed=21,
        steps=4,
        guidance=2.0,
        max_patches=3,
    ),
    Case(
        name="both-2",
        family="voxcpm-2",
        checkpoint=4,
        changes=MUP,
        text="(slow, 温和) 再说一次",
        prompt=Recording(seed=27, seconds=0.31, sample_rate=16000),
        transcript="The first  time.",
        reference=Recording(seed=28, seconds=0.5, sample_rate=8000),
        seed=42,
        steps=4,
        guidance=3.0,
        max_patches=3,
    ),
    Case(
        name="lora-stop-2",
        family="voxcpm-2",
        checkpoint=49,
        lora=2,
        text="清晨的风",
        reference=Recording(seed=9, seconds=0.33, sample_rate=16000),
        seed=23,
        steps=1,
        guidance=1.0,
        min_patches=1,
    ),
)
