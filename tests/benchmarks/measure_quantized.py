"""Measure the error of 8-bit models, and of our CPU kernels, against torch in bfloat16: latents, spectral flatness.

Both generate every patch from the same noise and after the same patches, those of the bfloat16 model ("guided"); then
each continues from its own patches ("free"). float32 is shown too, since bfloat16 rounds as well. Distances are
relative, |a - b| / |b|. Without fp8 hardware, the rounded numbers are multiplied in float32. Random weights
(without --checkpoint) compare ways of rounding, but say little about a trained voice.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checkpoints import write_checkpoint
from tests.voxcpm.matrices import EmulatedFp8Matrix
from voxcli.errors import VoxError
from voxcli.voxcpm.device import Placement, choose_placement
from voxcli.voxcpm.network.backbone import Backbone, Batch
from voxcli.voxcpm.network.config import ModelConfig, read_config
from voxcli.voxcpm.network.local_dit import Solver
from voxcli.voxcpm.network.sequence import Sequence, build_sequence
from voxcli.voxcpm.tokenizer import Tokenizer
from voxcli.voxcpm.weights.checkpoint import load_backbone, load_codec
from voxcli.voxcpm.weights.quantization import (
    FP8,
    INT8,
    KEPT_BY_FP8,
    FormatOf,
    Fp8Matrix,
    Int8Matrix,
    check_fp8,
    check_int8,
    choose_formats,
    in_blocks,
)

TEXTS = (
    "今天天气很好，我们说说中国的人工智能。",
    "Hello world, and the rest of it.",
    "清晨的公司里，大家在说话，也有人不说。",
    "The answer is 42, and then 10, and then a long string of other words.",
)
SEED, STEPS, GUIDANCE = 7, 10, 2.0
FRAME, SILENCE = 1024, 1e-4
"""Samples per frame, and the power below which a frame is silent, as a share of the loudest."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One numeric format of the model."""

    label: str
    dtype: torch.dtype
    """Of the activations, as the engine chooses it."""
    format_of: FormatOf


@dataclass(frozen=True, slots=True)
class Generated:
    """Patches of all texts, (texts, N, P, D), float32."""

    label: str
    guided: Tensor
    """Each after the patches of the bfloat16 model."""
    free: Tensor
    """Each after its own patches."""


@torch.inference_mode()
def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    device = choose_placement(options.device).device
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = options.checkpoint or Path(name) / options.model
        if not options.checkpoint:
            write_checkpoint(folder, options.model, 1, size=options.size)
        config = read_config(folder)
        variants = [
            Variant("bfloat16", torch.bfloat16, lambda name: None),
            Variant("float32", torch.float32, lambda name: None),
            *with_kernels(device, config),
            *quantized(device, options.quantize, options.keep),
        ]
        tokenizer = Tokenizer(folder, config.vocabulary)
        sequences = [build_sequence(tokenizer.ids(text), None, None) for text in TEXTS[: options.texts]]
        generated: list[Generated] = []
        for variant in variants:  # one at a time: together they may not fit
            backbone = load_backbone(folder, config, Placement(device, variant.dtype), format_of=variant.format_of)
            backbone.use_kernels(None)
            free = generate(backbone, sequences, options.patches)
            guided = generate(backbone, sequences, options.patches, generated[0].free) if generated else free
            generated.append(Generated(variant.label, guided, free))
            del backbone
        codec = load_codec(folder, config.codec, device, torch.float32)
        sounds = [
            codec.decode(one.free.flatten(1, 2).mT.to(device), codec.new_decoder_state(len(sequences))).cpu()
            for one in generated
        ]
    name = options.checkpoint or f"{options.model}, {options.size} size, random weights"
    print(f"{name}; {device}; {len(sequences)} texts, {options.patches} patches each, {STEPS} steps")
    report(generated, [flatness(sound) for sound in sounds])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="voxcpm-1.5", choices=["voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2"])
    parser.add_argument("--checkpoint", type=Path, help="a model's folder, instead of random weights")
    parser.add_argument("--quantize", nargs="+", default=[INT8, FP8], choices=[INT8, FP8])
    parser.add_argument("--keep", metavar="REGEX", help="matrices that are not quantized; ^$ for none")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--patches", type=int, default=16)
    parser.add_argument("--texts", type=int, default=len(TEXTS), choices=range(1, len(TEXTS) + 1))
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--folder", type=Path, help="folder for the temporary checkpoint")
    parser.add_argument("--size", default="full", choices=["full", "tiny"], help="tiny is for trying this script out")
    return parser.parse_args()


def with_kernels(device: torch.device, config: ModelConfig) -> Iterator[Variant]:
    """Yield what runs on our kernels, if this is a CPU that has them."""
    if device.type == "cpu":
        formats = {
            "bfloat16, kernels": choose_formats(Placement(device, torch.bfloat16), None, config),
            "int8, kernels": choose_formats(Placement(device, torch.float32), INT8, config),
        }
        for label, dtype in zip(formats, (torch.bfloat16, torch.float32), strict=True):
            if formats[label]("base_lm.layers.0.mlp.down_proj") is not None:
                yield Variant(label, dtype, formats[label])


def quantized(device: torch.device, formats: list[str], keep: str | None) -> Iterator[Variant]:
    for name in formats:
        try:
            if name == INT8:
                check_int8(device)
                yield Variant("int8", torch.float32, in_blocks(Int8Matrix, but=keep))
            else:
                check_fp8(device)
                yield Variant("fp8", torch.bfloat16, in_blocks(Fp8Matrix, but=keep or KEPT_BY_FP8))
        except VoxError as error:
            print(error)
            if name == FP8:
                print("Emulating fp8.")
                yield Variant("fp8, emulated", torch.bfloat16, in_blocks(EmulatedFp8Matrix, but=keep or KEPT_BY_FP8))


def generate(backbone: Backbone, sequences: list[Sequence], count: int, guided: Tensor | None = None) -> Tensor:
    """Generate `count` patches of each text, all texts at once: after the patches in `guided`, or after its own."""
    solver = Solver.of([backbone.new_solver(STEPS, GUIDANCE)] * len(sequences))
    batch = Batch.of([backbone.prefill(sequence) for sequence in sequences])
    generator = torch.Generator().manual_seed(SEED)
    made: list[Tensor] = []
    for number in range(count):
        noise = torch.randn(batch.previous.shape, generator=generator).bfloat16()
        patches = backbone.next_patches(batch, noise.to(batch.previous), solver)
        made.append(patches.float().cpu())
        backbone.advance(batch, patches if guided is None else guided[:, number].to(patches))
    return torch.stack(made, 1)


def report(generated: list[Generated], flatnesses: list[float]) -> None:
    base, exact = generated[0], generated[1]
    print(f"{'':18}{'from bfloat16':>20}{'from float32':>20}{'free':>22}{'flatness':>10}")
    print(f"{'':18}{'mean       worst':>20}{'mean       worst':>20}{'1st half  2nd half':>22}")
    for one, flat in zip(generated, flatnesses, strict=True):
        guided = [distances(one.guided, other.guided) for other in (base, exact)]
        halves = distances(one.free, base.free).chunk(2, dim=1)
        columns = [figure for distance in guided for figure in (distance.mean(), distance.max())]
        columns += [half.mean() for half in halves]
        print(f"{one.label:18}" + "".join(f"{float(column):10.4f}" for column in columns) + f"{flat:12.3f}")


def distances(some: Tensor, others: Tensor) -> Tensor:
    """Relative, of each patch: (texts, N)."""
    distance: Tensor = (some - others).flatten(2).norm(dim=2) / others.flatten(2).norm(dim=2)
    return distance


def flatness(sound: Tensor) -> float:
    """Of the spectrum of sounds, (texts, samples): 0 for a tone, and .56 for white noise."""
    frames = sound.unfold(1, FRAME, FRAME // 2).flatten(0, 1)
    power = torch.fft.rfft(frames * torch.hann_window(FRAME)).abs().square()[:, 1:].double()
    power = power[power.sum(1) > SILENCE * power.sum(1).max()].clamp_(min=1e-30)
    return float((power.log().mean(1).exp() / power.mean(1)).mean())


if __name__ == "__main__":
    main()
