"""Files of a parity case: checkpoint, clips and LoRA."""

from dataclasses import dataclass
from pathlib import Path

from tests.checkpoints import write_checkpoint, write_lora
from tests.parity.cases import Case, Recording, write_recording


@dataclass(frozen=True, slots=True)
class Prepared:
    """Paths of the files of a case; None for those that it does not have."""

    checkpoint: Path
    prompt: Path | None
    reference: Path | None
    lora: Path | None


def prepare(case: Case, folder: Path) -> Prepared:
    """Write the files of `case` into `folder`. Cases that share a full-size checkpoint share its files."""
    checkpoint = folder / f"{case.family}-{case.checkpoint}-{case.size if case.size == 'full' else case.name}"
    if not checkpoint.exists():
        write_checkpoint(
            checkpoint,
            case.family,
            case.checkpoint,
            size=case.size,
            weights=case.weights,
            codec=case.codec,
            stored=case.stored,
            # The package reads its dtype from the config.
            changes={**case.changes, "dtype": "float32"},
        )
    return Prepared(
        checkpoint,
        _recorded(case.prompt, folder / f"{case.name}-prompt.wav"),
        _recorded(case.reference, folder / f"{case.name}-reference.wav"),
        _lora(case, checkpoint, folder / f"{case.name}-lora"),
    )


def _recorded(recording: Recording | None, path: Path) -> Path | None:
    if recording is None:
        return None
    write_recording(path, recording)
    return path


def _lora(case: Case, checkpoint: Path, folder: Path) -> Path | None:
    if case.lora is None:
        return None
    write_lora(folder, checkpoint, case.lora, weights="safetensors" if case.lora % 2 else "ckpt")
    return folder
