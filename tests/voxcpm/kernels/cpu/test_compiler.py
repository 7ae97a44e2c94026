"""Kernels are compiled once on a machine, for its processor, and what is damaged is compiled again."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from llvmlite import binding, ir

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.compiler import compile_module
from voxcli.voxcpm.kernels.cpu.ir import I64, POINTER, Code
from voxcli.voxcpm.kernels.cpu.products import row_bytes, write_product
from voxcli.voxcpm.kernels.cpu.rows import write_round_row
from voxcli.voxcpm.kernels.cpu.targets import Target, choose_target, find_target

HERE = find_target()
pytestmark = pytest.mark.skipif(HERE is None, reason="kernels cannot be compiled here")
AVX2 = frozenset({"avx", "avx2", "fma"})
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
ARM = frozenset({"neon", "dotprod", "fullfp16", "i8mm"})


def write_constant(module: ir.Module) -> None:
    code = Code(module, "constant", [POINTER], exported=True)
    code.array(code.arguments[0], I64)[0] = 42
    code.finish()


def refuse(module: ir.Module) -> None:
    raise AssertionError("it has been compiled already")


def test_it_is_compiled_once(tmp_path: Path) -> None:
    assert HERE
    assert compile_module(HERE, "one", write_constant, tmp_path / "kernels").address("constant")
    assert compile_module(HERE, "one", refuse, tmp_path / "kernels").address("constant")
    with pytest.raises(AssertionError, match="already"):
        compile_module(HERE, "another", refuse, tmp_path / "kernels")


def test_another_processor_has_code_of_its_own(tmp_path: Path) -> None:
    assert HERE
    compile_module(HERE, "one", write_constant, tmp_path)
    other = Target("x86-64" if HERE.features.startswith("+") or "," in HERE.features else "generic", "", None, None)
    with pytest.raises(AssertionError, match="already"):
        compile_module(other, "one", refuse, tmp_path)


def test_code_that_is_in_use_is_kept_and_other_code_is_removed(tmp_path: Path) -> None:
    assert HERE
    for name in ("used", "old"):
        compile_module(HERE, name, write_constant, tmp_path)
    for file in tmp_path.iterdir():
        os.utime(file, (1000, 1000))
    compile_module(HERE, "used", refuse, tmp_path)
    compile_module(HERE, "new", write_constant, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    compile_module(HERE, "used", refuse, tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: b"", lambda data: data[:40] + data[:-40]])
def test_damaged_code_is_never_run(tmp_path: Path, damage: object) -> None:
    assert HERE
    compile_module(HERE, "one", write_constant, tmp_path)
    (file,) = tmp_path.iterdir()
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    assert compile_module(HERE, "one", write_constant, tmp_path).address("constant")
    assert compile_module(HERE, "one", refuse, tmp_path).address("constant")


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    assert HERE
    (tmp_path / "file").write_text("")
    assert compile_module(HERE, "one", write_constant, tmp_path / "file").address("constant")


@pytest.mark.parametrize(
    ("cpu", "has", "int8", "bf16"),
    [
        ("znver5", AVX512 | {"avx512vnni", "avx512bf16"}, ("int8", 16), ("bf16", 16)),
        ("sapphirerapids", AVX512 | {"avx512vnni", "avx512bf16", "avx512fp16"}, ("int8", 16), ("float16", 16)),
        ("cooperlake", AVX512 | {"avx512vnni", "avx512bf16"}, ("int8", 16), ("wide_bf16", 16)),
        ("skylake-avx512", AVX512, ("int8", 8), ("wide_bf16", 16)),
        ("alderlake", {"avx2", "fma", "avxvnni"}, ("int8", 8), ("wide_bf16", 8)),
        ("haswell", {"avx2", "fma"}, ("int8", 8), ("wide_bf16", 8)),
        ("nehalem", {"sse4.2"}, None, None),
        ("apple-m1", {"neon", "dotprod", "fullfp16"}, ("int8", 4), ("float16", 4)),
        ("cortex-a72", {"neon"}, None, ("wide_bf16", 4)),
    ],
)
def test_a_processor_multiplies_as_it_can(
    cpu: str, has: set[str], int8: tuple[str, int] | None, bf16: tuple[str, int] | None
) -> None:
    target = choose_target(cpu, "", has)
    found = [chosen and (chosen.name, chosen.lanes) for chosen in (target.int8, target.bf16)]
    assert found == [int8, bf16]


@dataclass(frozen=True)
class Other:
    """A kind of processor, for which LLVM can compile wherever it runs."""

    triple: str
    cpu: str
    has: frozenset[str]
    int8: str
    bf16: str
    """Instructions that are expected."""


SPILLED = r"%[yz]mm.*\(%rsp|\(%rsp.*%[yz]mm|\b[qv]\d+.*\[sp"
"""Reads or writes a register of sums on the stack."""
X86, LINUX, MAC = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-macosx14.0.0"
OTHERS = [
    Other(X86, "znver5", AVX512 | {"avx512vnni", "avx512bf16"}, "vpdpbusd", "vdpbf16ps"),
    Other(X86, "sapphirerapids", AVX512 | {"avx512vnni", "avx512fp16"}, "vpdpbusd", "vfmadd"),
    Other(X86, "skylake-avx512", AVX512, "vpmaddubsw", "vfmadd"),
    Other(X86, "alderlake", AVX2 | {"avxvnni"}, "vpdpbusd", "vfmadd"),
    Other(X86, "haswell", AVX2, "vpmaddubsw", "vfmadd"),
    Other(LINUX, "cortex-a72", frozenset({"neon"}), "", "fmla"),
    Other(LINUX, "neoverse-n1", frozenset({"neon", "dotprod", "fullfp16"}), "sdot", "fmla"),
    Other(LINUX, "neoverse-v1", ARM, "usdot", "fmla"),
    Other(MAC, "apple-m1", ARM - {"i8mm"}, "sdot", "fmla"),
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.cpu)
def test_it_can_be_compiled_for_other_processors(other: Other) -> None:
    """The sums of the largest tile stay in registers, so that nothing is written in the innermost loop."""
    target = choose_target(other.cpu, "", set(other.has))
    for arithmetic, instruction in ((target.int8, other.int8), (target.bf16, other.bf16)):
        assert bool(arithmetic) == bool(instruction)
        if not arithmetic:
            continue
        loops = [lines for lines in loops_of(assembly_of(arithmetic, other)) if instruction in lines]
        assert loops
        innermost = max(loops, key=lambda lines: lines.count(instruction))
        assert innermost.count(instruction) >= arithmetic.max_rows
        assert not re.findall(SPILLED, innermost)


def loops_of(assembly: str) -> list[str]:
    """Return the blocks of a program that end with a jump to their beginning."""
    blocks = re.split(r"^[.L]*(BB\w+):.*$", assembly, flags=re.MULTILINE)[1:]
    named = zip(blocks[::2], blocks[1::2], strict=True)
    return [lines[: lines.rindex(f"L{name}")] for name, lines in named if re.search(rf"L{name}\b", lines)]


def assembly_of(arithmetic: Arithmetic, other: Other) -> str:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = other.triple
    write_product(module, arithmetic, arithmetic.max_rows, row_bytes(arithmetic, 256), gated=False)
    write_round_row(module, arithmetic, 256)
    for function in module.functions:
        function.linkage = "" if not function.is_declaration else function.linkage
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    machine = binding.Target.from_triple(module.triple).create_target_machine(
        cpu=other.cpu, features="-prefer-256-bit" if arithmetic.lanes == 16 else "", opt=3
    )
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    found: str = machine.emit_assembly(parsed)
    return found
