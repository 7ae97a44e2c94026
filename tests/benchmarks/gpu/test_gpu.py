"""The run on a GPU, as far as a CPU can tell: its plan, what it imports, and that every program runs in a trial."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.engine.options import read_options as read_engine_options
from tests.benchmarks.gpu import laws, measure
from tests.benchmarks.gpu.measure import FOLDER, MAX_FILES, ROOT, SECONDS, Command, Setting, programs_of, read_setting
from tests.benchmarks.gpu.probe import SECTIONS
from tests.benchmarks.gpu.probe import read_options as read_probe_options
from tests.structure import imported_names

AT_HAND = {"torch", "numpy", "safetensors", "tokenizers", "filelock", "triton", "pytest", "hypothesis"}
"""What a machine with a GPU is expected to have; torch itself needs filelock."""


@pytest.fixture(params=[True, False], ids=["trial", "run"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    arguments = ["A", *(["--trial"] if request.param else []), "--folder", str(tmp_path / "checkpoints")]
    return read_setting([*arguments, "--out", str(tmp_path / "out"), "--package", str(tmp_path)])[1]


def test_both_commands_take_less_than_nine_minutes_together() -> None:
    assert sum(SECONDS.values()) <= 9 * 60


@pytest.mark.parametrize("command", SECONDS)
def test_programs_are_given_options_that_they_know_and_few_files(command: str, setting: Setting) -> None:
    files = {f"{command}.txt"}
    for program in programs_of(command, setting):
        script, *arguments = program.arguments(60)
        assert Path(script).is_file()
        files.add(f"{program.name}.txt")
        if script.endswith("probe.py"):
            read = read_probe_options(arguments).json
            assert set(read_probe_options(arguments).only) <= SECTIONS.keys()
        elif script.endswith("measure_engine.py"):
            engine = read_engine_options(arguments, "")
            read = engine.json
            assert engine.time_anyway
            assert engine.minutes <= 1
        else:
            read = None
        if read:
            files.add(read.name)
    assert len(files) <= MAX_FILES


def test_a_program_that_fails_or_hangs_does_not_stop_the_next(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    codes = {
        "fails": "print('7 failed'); raise SystemExit(3)",
        "hangs": "import time; time.sleep(60)",
        "runs": "print(5)",
    }
    programs = []
    for name, code in codes.items():
        script = tmp_path / f"{name}.py"
        script.write_text(code)
        programs.append(
            measure.Program(name=name, arguments=lambda left, script=script: [str(script)], seconds=2, shown="")  # type: ignore[misc]
        )
    monkeypatch.setattr(measure, "programs_of", lambda name, setting: programs)
    monkeypatch.setattr(Command, "_write_checkpoints", lambda self: ())
    assert Command("A", setting).run() == ["fails", "hangs"]
    printed = capsys.readouterr().out
    for text in ("7 failed", "fails: exit status 3", "hangs: stopped after 2 s", "failed: fails, hangs"):
        assert text in printed
    assert (setting.out / "A.txt").read_text("utf-8") == printed
    assert (setting.out / "runs.txt").read_text("utf-8") == "5\n"


def test_the_programs_and_laws_import_nothing_that_a_machine_with_a_gpu_lacks() -> None:
    laws_of_gpu = [path for path in (ROOT / "tests").rglob("test_*.py") if laws._is_for_a_gpu(path)]
    assert len(laws_of_gpu) >= 5
    programs = [*FOLDER.glob("*.py"), *FOLDER.glob("candidates/*.py"), measure.ENGINE]
    plugins = [ROOT / f"{name.replace('.', '/')}.py" for name in laws.pytest_plugins]
    found = set(third_party([path for path in (*programs, *plugins, *laws_of_gpu) if path != Path(__file__)]))
    assert found <= AT_HAND


def third_party(paths: list[Path]) -> Iterator[str]:
    """Yield the packages that files import at their beginning, directly or through others of this repository."""
    waiting, seen = list(paths), set(paths)
    while waiting:
        path = waiting.pop()
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If):
                node.body = []  # not needed to start: imported later, or for types only
        for source, name in imported_names(tree):
            root = source.partition(".")[0]
            if root not in ("voxcli", "tests"):
                if root not in sys.stdlib_module_names:
                    yield f"{root} in {path.relative_to(ROOT)}" if root not in AT_HAND else root
                continue
            for file in files_of(source, name):
                if file not in seen:
                    seen.add(file)
                    waiting.append(file)


def files_of(source: str, name: str | None) -> Iterator[Path]:
    """Return the files that an import runs: of the module, and of the packages around it."""
    parts = [*source.split("."), *([name] if name else [])]
    for length in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:length])
        yield from (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())


@pytest.mark.benchmark
@pytest.mark.parametrize("command", SECONDS)
def test_a_trial_runs_every_program(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, setting = read_setting(
        [command, "--trial", "--folder", str(tmp_path / "models"), "--out", str(tmp_path / "out")]
    )
    assert Command(name, setting).run() == []
    assert len(list(setting.out.iterdir())) <= MAX_FILES
    printed = capsys.readouterr().out
    assert "failed: nothing" in printed
    assert "FAILED" not in printed


@pytest.mark.benchmark
def test_the_laws_for_a_gpu_are_found_without_a_path(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    command = [sys.executable, str(FOLDER / "laws.py"), "--collect-only"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for file in ("test_kernels", "test_fp8", "test_graph_runner", "test_memory", "test_candidates"):
        assert f"{file}.py::" in done.stdout
