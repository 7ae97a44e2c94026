"""Kernels are compiled once on a machine, for its processor, and what is damaged is compiled again."""

from pathlib import Path

import pytest
from llvmlite import binding, ir

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.compiler import Target, choose_target, compile_module, find_target
from voxcli.voxcpm.kernels.cpu.ir import I64, POINTER, Code
from voxcli.voxcpm.kernels.cpu.products import row_bytes, write_product
from voxcli.voxcpm.kernels.cpu.rows import write_round_row

HERE = find_target()
pytestmark = pytest.mark.skipif(HERE is None, reason="kernels cannot be compiled here")
AVX512 = {"avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"}


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
        ("skylake-avx512", AVX512, None, ("wide_bf16", 16)),
        ("alderlake", {"avx2", "fma", "avxvnni"}, ("int8", 8), ("wide_bf16", 8)),
        ("haswell", {"avx2", "fma"}, None, ("wide_bf16", 8)),
        ("nehalem", {"sse4.2"}, None, None),
    ],
)
def test_a_processor_multiplies_as_it_can(
    cpu: str, has: set[str], int8: tuple[str, int] | None, bf16: tuple[str, int] | None
) -> None:
    target = choose_target(cpu, "", has)
    found = [chosen and (chosen.name, chosen.lanes) for chosen in (target.int8, target.bf16)]
    assert found == [int8, bf16]


@pytest.mark.parametrize(
    ("cpu", "has", "instructions", "registers"),
    [
        ("znver5", AVX512 | {"avx512vnni", "avx512bf16"}, ["vpdpbusd", "vdpbf16ps"], "%zmm"),
        ("alderlake", {"avx2", "fma", "avxvnni"}, ["vpdpbusd", "vfmadd"], "%ymm"),
    ],
)
def test_it_can_be_compiled_for_other_processors(
    cpu: str, has: set[str], instructions: list[str], registers: str
) -> None:
    """The sums of the largest tile stay in registers."""
    if not binding.get_process_triple().startswith("x86_64"):
        pytest.skip("LLVM is initialized for this processor only")
    target = choose_target(cpu, "", has)
    for arithmetic, instruction in zip((target.int8, target.bf16), instructions, strict=True):
        assert arithmetic
        assembly = assembly_of(arithmetic, cpu)
        assert instruction in assembly
        assert registers in assembly
        loops = [block for block in assembly.split(".LBB") if block.count(instruction) >= arithmetic.max_rows]
        assert loops, "the innermost loop"
        products = loops[0][: loops[0].rindex(instruction)].splitlines() if arithmetic.lanes == 16 else []
        assert not [line for line in products if "rsp" in line and registers in line], "spilled"


def assembly_of(arithmetic: Arithmetic, cpu: str) -> str:
    module = ir.Module()
    module.triple = binding.get_process_triple()
    write_product(module, arithmetic, arithmetic.max_rows, row_bytes(arithmetic, 256), gated=False)
    write_round_row(module, arithmetic, 256)
    for function in module.functions:
        function.linkage = "" if not function.is_declaration else function.linkage
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    features = "-prefer-256-bit" if arithmetic.lanes == 16 else ""
    machine = binding.Target.from_triple(module.triple).create_target_machine(cpu=cpu, features=features, opt=3)
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    found: str = machine.emit_assembly(parsed)
    return found
