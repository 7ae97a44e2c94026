import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pulse import PulseServer

FIND = """
import dataclasses, json, sys
from voxcli.errors import DeviceError
from voxcli.devices import portaudio
found = {}
try:
    found["all"] = [dataclasses.asdict(device) for device in portaudio.list_devices()]
    found["device"] = dataclasses.asdict(portaudio.find_device(json.loads(sys.argv[1])))
except DeviceError as error:
    found["error"] = error.for_command_line
sys.stdout.write(json.dumps(found))
"""
NO_LIBRARY = "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
"""What it answers where PortAudio is not installed; sounddevice asks nobody else."""
CHATTER = """
import ctypes, sys
from voxcli.devices.portaudio import muted_native_stderr
libc = ctypes.CDLL(None)
def print_from_c(text):
    libc.fputs(text, ctypes.c_void_p.in_dll(libc, "stderr"))
with muted_native_stderr(), muted_native_stderr():
    print_from_c(b"swallowed\\n")
    sys.stderr.write("from python\\n")
print_from_c(b"from c\\n")
"""
NO_CARDS = """
</usr/share/alsa/alsa.conf>
ctl.!hw { @args [ CARD ] @args.CARD { type string } type hw card 31 }
pcm.!hw { @args [ CARD DEV SUBDEV ] @args.CARD { type string } @args.DEV { type integer }
          @args.SUBDEV { type integer } type hw card 31 }
"""
"""Turns all of this machine's sound cards into one that it has not. PortAudio aborts on an empty configuration."""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the wheel brings the library")


def find(wanted: str | None, environment: dict[str, str] | None = None, before: str = "") -> dict[str, Any]:
    command = [sys.executable, "-c", before + FIND, json.dumps(wanted)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_default_device_is_found_without_a_name(pulse: PulseServer) -> None:
    found = find(None, pulse.environment)
    assert found["device"] in found["all"]
    assert found["device"]["is_default"]
    assert [device["is_default"] for device in found["all"]].count(True) == 1
    assert found["device"]["host"] == "ALSA"
    assert found["device"]["channels"] >= 2
    assert found["device"]["sample_rate"] in (44100, 48000)


def test_every_device_is_found_by_its_number_and_its_name(pulse: PulseServer) -> None:
    everything = find(None, pulse.environment)["all"]
    for device in everything:
        assert find(str(device["index"]), pulse.environment)["device"] == device
        assert find(device["name"], pulse.environment)["device"] == device
        assert find(f"{device['name']}, ALSA", pulse.environment)["device"] == device


def test_a_part_of_a_name_in_any_case_is_enough(pulse: PulseServer) -> None:
    assert find("PULS", pulse.environment)["device"]["name"] == "pulse"


def test_a_part_of_several_names_is_refused_with_the_list_of_them(pulse: PulseServer) -> None:
    error = find("alsa", pulse.environment)["error"]
    assert "Several loudspeakers match 'alsa'" in error
    assert "pulse, ALSA" in error
    assert "default, ALSA" in error


@pytest.mark.parametrize("wanted", ["99", "kitchen"])
def test_an_unknown_device_is_refused_with_the_list_of_all(pulse: PulseServer, wanted: str) -> None:
    error = find(wanted, pulse.environment)["error"]
    assert f"There is no loudspeaker {wanted!r}." in error
    assert "pulse, ALSA" in error


def test_a_misspelt_device_is_guessed(pulse: PulseServer) -> None:
    assert "Did you mean 'pulse'?" in find("pulsse", pulse.environment)["error"]


def test_without_any_device_the_error_says_what_to_do(pulse: PulseServer, tmp_path: Path) -> None:
    cards = tmp_path / "asound.conf"
    cards.write_text(NO_CARDS)
    nobody = {"PULSE_SERVER": f"unix:{tmp_path / 'nobody'}", "ALSA_CONFIG_PATH": str(cards)}
    error = find(None, {**pulse.environment, **nobody})["error"]
    assert "There is no loudspeaker to play on." in error
    assert "sudo apt install libasound2-plugins" in error
    assert "-o FILE" in error


@linux_only
def test_without_portaudio_the_error_has_the_line_that_installs_it() -> None:
    found = find(None, before=NO_LIBRARY)
    assert "sudo apt install libportaudio2" in found["error"]


def test_importing_the_module_loads_no_sound_library() -> None:
    check = "import sys, voxcli.devices.portaudio, voxcli.devices.speaker; sys.exit('sounddevice' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@linux_only
def test_only_what_c_libraries_print_is_muted() -> None:
    done = subprocess.run([sys.executable, "-c", CHATTER], capture_output=True, text=True, check=True)
    assert sorted(done.stderr.splitlines()) == ["from c", "from python"]
