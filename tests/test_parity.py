"""Output equals that of the published package: its answers to the committed cases are stored in tests/parity.

Answers to other cases are recorded and compared by `python tests/benchmarks/record_parity.py --seed 4711`.
"""

from pathlib import Path

import pytest

from tests.parity.answers import COMMAND_TOLERANCE, ENGINE_TOLERANCE, difference, missing_samples, read_answer
from tests.parity.cases import CASES, Case
from tests.parity.prepare import prepare
from tests.parity.voxcli_answers import spoken_by_command, spoken_by_engine
from tests.program import RunIn

BY_COMMAND = ("stop-05b", "lora-continuation-15", "style-2", "both-2")
"""One per kind of voice."""


def name_of(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_engine_equals_the_package(case: Case, tmp_path: Path) -> None:
    files = prepare(case, tmp_path)
    missing = missing_samples(case, files.checkpoint)
    assert difference(spoken_by_engine(case, files), read_answer(case), missing) <= ENGINE_TOLERANCE


@pytest.mark.parametrize("case", [case for case in CASES if case.name in BY_COMMAND], ids=name_of)
def test_the_command_line_equals_the_package(case: Case, tmp_path: Path, run_in: RunIn) -> None:
    files = prepare(case, tmp_path)
    assert difference(spoken_by_command(case, files, tmp_path, run_in), read_answer(case), 0) <= COMMAND_TOLERANCE


def test_after_a_very_short_prompt_nothing_is_lost(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "short-prompt-05b")
    files = prepare(case, tmp_path)
    patch = 1280
    assert missing_samples(case, files.checkpoint) == patch
    assert len(spoken_by_engine(case, files)) == len(read_answer(case)) + patch
