"""Script that generates parity answers with the published package, in an environment that need not have voxcli."""

import gc
import json
import sys
import types
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

_LONGEST = 4096
"""The package's own default for `max_len`."""


def provide_torchaudio() -> None:
    """Provide torchaudio for the package: a stub if no build fits this torch, with `load` from soundfile."""
    try:
        torchaudio = import_module("torchaudio")
    except ImportError:
        torchaudio = sys.modules["torchaudio"] = types.ModuleType("torchaudio")
        torchaudio.__spec__ = ModuleSpec("torchaudio", None)  # transformers looks for it

    def load(path: str) -> tuple[torch.Tensor, int]:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), rate

    torchaudio.load = load  # type: ignore[attr-defined]


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Generate what `job` asks for, write the samples to its `answer` file and return rate, length and margins."""
    voxcpm = import_module("voxcpm")
    lora = {}
    if job["lora"] is not None:
        settings = json.loads(Path(job["lora"], "lora_config.json").read_text("utf-8"))["lora_config"]
        network = import_module("voxcpm.model.voxcpm2" if job["family"] == "voxcpm-2" else "voxcpm.model.voxcpm")
        lora = {"lora_config": network.LoRAConfig(**settings), "lora_weights_path": job["lora"]}
    speaker = voxcpm.VoxCPM.from_pretrained(
        job["checkpoint"], load_denoiser=False, optimize=False, device="cpu", **lora
    )
    model = speaker.tts_model
    margins = _watch(model)
    voice = {"prompt_wav_path": job["prompt"], "prompt_text": job["transcript"]} if job["prompt"] else {}
    if job["reference"]:
        voice["reference_wav_path"] = job["reference"]
    torch.manual_seed(job["seed"])
    samples = speaker.generate(
        job["text"],
        inference_timesteps=job["steps"],
        cfg_value=job["guidance"],
        min_len=job["min_patches"],
        max_len=_LONGEST if job["max_patches"] is None else job["max_patches"],
        retry_badcase=False,
        **voice,
    )
    np.save(job["answer"], samples)
    return {"sample_rate": model.sample_rate, "samples": len(samples), **margins}


def _watch(model: Any) -> dict[str, float]:
    """Record how close the two discrete decisions came to going the other way.

    `quantizer`: smallest distance of a value to the middle between two levels, in levels.
    `stop`: distance between the two logits.
    """
    margins = {"quantizer": 1.0, "stop": 1e9}
    masks: list[torch.Tensor] = []
    inference, scale = model._inference, model.config.scalar_quantization_scale

    def watched(text: Any, text_mask: Any, feat: Any, feat_mask: torch.Tensor, **options: Any) -> Any:
        masks.append(feat_mask)
        return inference(text, text_mask, feat, feat_mask, **options)

    def quantized(_module: Any, _inputs: Any, values: torch.Tensor) -> None:
        counted = values[masks[-1].bool()] if values.dim() == 3 else values
        if counted.numel():
            levels = torch.tanh(counted) * scale
            near = ((levels - levels.floor()) - 0.5).abs().min().item()
            margins["quantizer"] = min(margins["quantizer"], near)

    def stopped(_module: Any, _inputs: Any, logits: torch.Tensor) -> None:
        margins["stop"] = min(margins["stop"], (logits[0, 0] - logits[0, 1]).abs().item())

    model._inference = watched
    model.fsq_layer.in_proj.register_forward_hook(quantized)
    model.stop_head.register_forward_hook(stopped)
    return margins


def main() -> None:
    """Read jobs from standard input, a JSON object a line; answer each with a line on standard output."""
    answers, sys.stdout = sys.stdout, sys.stderr
    provide_torchaudio()
    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        answers.write(json.dumps(answer(job)) + "\n")
        answers.flush()
        gc.collect()


if __name__ == "__main__":
    main()
