"""What we say equals what the published package says: its answers to the committed cases are kept beside them.

Answers to other cases are recorded and compared by `python tests/parity/record.py --seed 4711`.
"""

from pathlib import Path

import pytest

from tests.parity.answers import difference, missing_samples, read_answer
from tests.parity.cases import CASES, Case
from tests.parity.ours import spoken_by_command, spoken_by_engine
from tests.parity.prepare import prepare
from tests.parity.record import COMMAND_TOLERANCE, ENGINE_TOLERANCE

BY_COMMAND = ("stop-05b", "lora-continuation-15", "style-2", "both-2")
"""One of each way to be asked: every start of the program takes its time."""


def name_of(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_engine_says_what_the_package_says(case: Case, tmp_path: Path) -> None:
    files = prepare(case, tmp_path)
    missing = missing_samples(case, files.checkpoint)
    assert difference(spoken_by_engine(case, files), read_answer(case), missing) <= ENGINE_TOLERANCE


@pytest.mark.parametrize("case", [case for case in CASES if case.name in BY_COMMAND], ids=name_of)
def test_the_command_line_says_what_the_package_says(case: Case, tmp_path: Path) -> None:
    files = prepare(case, tmp_path)
    assert difference(spoken_by_command(case, files, tmp_path), read_answer(case), 0) <= COMMAND_TOLERANCE


def test_after_a_very_short_prompt_nothing_is_lost(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "short-prompt-05b")
    files = prepare(case, tmp_path)
    patch = 1280
    assert missing_samples(case, files.checkpoint) == patch
    assert len(spoken_by_engine(case, files)) == len(read_answer(case)) + patch
