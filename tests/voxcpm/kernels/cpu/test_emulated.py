"""Products for processors of ARM compute what the plain products compute, in a machine that is emulated here."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from llvmlite import binding, ir
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.arithmetic import (
    Arithmetic,
    Float16,
    Int8ByDotProduct,
    Int8ByMixedDotProduct,
    WideBf16,
)
from voxcli.voxcpm.kernels.cpu.products import row_bytes, tile_heights, write_product
from voxcli.voxcpm.kernels.cpu.rows import write_round_row
from voxcli.voxcpm.network.cpu_stack import _FORMS

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        not (shutil.which(COMPILER) and shutil.which(EMULATOR)),
        reason="needs an emulator: apt install qemu-user-static gcc-aarch64-linux-gnu",
    ),
]

INPUTS, OUTPUTS = 148, 192

PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
void round_row(float *row, void *rounded, float *scale, int32_t *sum);
void product(void *inputs, int64_t tiles, void *weights, int64_t groups, float *scales, float *row_scales,
             int32_t *row_sums, float *out, int64_t out_stride, int64_t start, int64_t end, int64_t apart);
static void *taken(size_t bytes) {
    void *found = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (fread(found, 1, bytes, stdin) != bytes) exit(1);
    return found;
}
int main(void) {
    float *x = taken(sizeof(float) * ROWS * INPUTS);
    void *weights = taken(WEIGHT_BYTES);
    float *scales = taken(sizeof(float) * OUTPUTS), row_scales[ROWS], *out = calloc(ROWS * OUTPUTS, sizeof(float));
    int32_t row_sums[ROWS];
    char *rounded = aligned_alloc(64, ROWS * STRIDE);
    for (int row = 0; row < ROWS; row++)
        round_row(x + row * INPUTS, rounded + row * STRIDE, row_scales + row, row_sums + row);
    product(rounded, TILES, weights, GROUPS, scales, row_scales, row_sums, out, OUTPUTS, 0, PAIRS, 1);
    fwrite(out, sizeof(float), ROWS * OUTPUTS, stdout);
    return 0;
}
"""


@pytest.mark.parametrize(
    ("arithmetic", "features", "tolerance"),
    [
        (Int8ByDotProduct(4, 2), "+dotprod", 1e-6),
        (Int8ByMixedDotProduct(4, 2), "+i8mm", 1e-6),
        (WideBf16(4, 2), "", 1e-6),
        (Float16(4, 2), "+fullfp16", 2e-3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Arithmetic) else "",
)
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_it_is_the_plain_product(
    arithmetic: Arithmetic, features: str, tolerance: float, rows: int, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(rows)
    weight, x = (torch.randn(count, INPUTS, generator=generator) for count in (OUTPUTS, rows))
    x[-1] *= 40
    matrix = _FORMS[arithmetic.name](weight, None)
    height = max(height for height in tile_heights(arithmetic) if rows % height == 0)
    stride = row_bytes(arithmetic, INPUTS)
    sizes = {
        "ROWS": rows,
        "INPUTS": INPUTS,
        "OUTPUTS": OUTPUTS,
        "STRIDE": stride,
        "TILES": rows // height,
        "GROUPS": INPUTS // arithmetic.group,
        "PAIRS": OUTPUTS // (2 * arithmetic.outputs),
        "WEIGHT_BYTES": matrix.blocks.nbytes,
    }
    (tmp_path / "kernels.o").write_bytes(compiled(arithmetic, height, stride, features))
    (tmp_path / "program.c").write_text(PROGRAM)
    defined = [f"-D{name}={size}" for name, size in sizes.items()]
    subprocess.run([COMPILER, "-static", *defined, "program.c", "kernels.o", "-o", "program"], cwd=tmp_path, check=True)
    scales = torch.ones(OUTPUTS) if matrix.scales is None else matrix.scales
    given = b"".join(bytes_of(tensor) for tensor in (x, matrix.blocks, scales))
    found = subprocess.run(
        [EMULATOR, "-cpu", "max", tmp_path / "program"], input=given, capture_output=True, check=True
    ).stdout
    out = torch.frombuffer(bytearray(found), dtype=torch.float32).view(rows, OUTPUTS)
    expected = matrix(x)
    assert (out - expected).norm() <= tolerance * expected.norm()


def compiled(arithmetic: Arithmetic, rows: int, stride: int, features: str) -> bytes:
    """Return an object file with the functions `product` and `round_row`."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = "aarch64-unknown-linux-gnu"
    written = {
        write_product(module, arithmetic, rows, stride, gated=False): "product",
        write_round_row(module, arithmetic, INPUTS): "round_row",
    }
    text = str(module)
    for name, exported in written.items():
        text = text.replace(f'define internal void @"{name}"', f'define void @"{exported}"')
    parsed = binding.parse_assembly(text)
    parsed.verify()
    machine = binding.Target.from_triple(module.triple).create_target_machine(features=features, opt=3, reloc="pic")
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    found: bytes = machine.emit_object(parsed)
    return found


def bytes_of(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().view(torch.uint8).numpy())
