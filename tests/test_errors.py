"""Near misses, and errors that come from another process."""

import json

import pytest

import voxcli.errors
from voxcli.cli.exits import exit_code
from voxcli.errors import (
    DeviceError,
    ModelError,
    NotFound,
    OutOfMemory,
    RemoteCut,
    RemoteError,
    RemoteRefused,
    RemoteTimeout,
    RemoteUnknown,
    RequestError,
    TurnTimeout,
    VoxError,
    did_you_mean,
    error_from_dict,
)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("mp4", " Did you mean 'mp3'?"), ("OPUSS", " Did you mean 'opus'?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_name_is_suggested(name: str, suggestion: str) -> None:
    assert did_you_mean(name, ["wav", "mp3", "opus"]) == suggestion


ERRORS = [
    RequestError("The text is empty."),
    NotFound("There is no voice 'x'.", on_command_line="To list yours: voxcli voices"),
    ModelError("model.safetensors is damaged."),
    RemoteError("No answer."),
    RemoteRefused("It said no.", 403, on_command_line="Set VOXCLI_API_KEY."),
    RemoteUnknown("It has no such voice.", 404),
    RemoteTimeout("Nothing for 30 s."),
    RemoteCut("The connection was lost."),
    DeviceError("Out of memory.", on_command_line="Try --quantize int8."),
    OutOfMemory("The memory is full.", on_command_line="Use less."),
    TurnTimeout("Others were still speaking."),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_another_process_is_the_same_here(error: VoxError) -> None:
    same = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(same) is type(error)
    assert (str(same), same.for_command_line) == (str(error), error.for_command_line)
    assert exit_code(same) == exit_code(error)


def test_every_kind_of_error_is_known_in_another_process() -> None:
    defined = {kind for kind in vars(voxcli.errors).values() if isinstance(kind, type) and issubclass(kind, VoxError)}
    assert defined - {VoxError} == {type(error) for error in ERRORS}


def test_a_kind_that_is_defined_elsewhere_becomes_the_nearest_known_one() -> None:
    class OwnError(NotFound):
        pass

    assert type(error_from_dict(OwnError("No.").to_dict())) is NotFound


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "SystemExit", "message": "Gone."},
        {"kind": ["NotFound"], "message": 7, "on_command_line": None},
        {"kind": "RemoteRefused", "message": "No.", "status": "403"},
    ],
)
def test_an_error_that_is_described_badly_is_one_of_the_model(document: dict[str, object]) -> None:
    error = error_from_dict(document)
    assert type(error) is ModelError
    assert str(error).endswith(".")
