"""`voxcli say --cast`: speakers of a script, refused before anything is made if a name or a voice is missing."""

from pathlib import Path

import numpy as np
import soundfile

from tests.program import Here
from voxcli.cli.exits import ExitCode

SCENE = "The garden.\n\nANNA: Hello, Ben.\nBEN: Good evening, Anna.\n"


def test_a_scene_and_its_stems(here: Here, tmp_path: Path) -> None:
    Path("scene.txt").write_text(SCENE, "utf-8")
    Path("cast.toml").write_text('ANNA = "en-us+f2"\n[BEN]\nvoice = "en-us+m3"\nspeed = 1.5\n', "utf-8")
    outputs = ("-o", "scene.wav", "--stems", "stems")
    arguments = ("say", "-f", "scene.txt", "--cast", "cast.toml", "-m", "espeak", *outputs)
    code, output = here(*arguments)
    assert code == 0, output
    whole, _ = soundfile.read("scene.wav", dtype="int16")
    stems = {path.stem: soundfile.read(path, dtype="int16")[0] for path in Path("stems").iterdir()}
    assert set(stems) == {"narrator", "ANNA", "BEN"}
    np.testing.assert_array_equal(np.sum(list(stems.values()), axis=0, dtype=np.int32), whole)
    assert all(stem.any() for stem in stems.values())
    code, output = here(*arguments, "--force")
    assert code == 0, output
    Path("scene.wav").unlink()
    code, output = here(*arguments)
    assert code == ExitCode.BAD_INPUT
    assert "There are .wav files in stems already" in output


def test_all_unknown_names_and_voices_are_told_before_anything_is_made(here: Here) -> None:
    Path("scene.txt").write_text(SCENE + "EVE: No.\nADAM: No.\nEVE: Why?\n", "utf-8")
    Path("cast.toml").write_text('ANNA = "en-us"\nBEN = "en-us"\n', "utf-8")
    code, output = here("say", "-f", "scene.txt", "--cast", "cast.toml", "-m", "espeak", "-o", "scene.wav")
    assert code == ExitCode.BAD_INPUT
    assert "EVE (lines 5, 7), ADAM (line 6)" in output
    Path("cast.toml").write_text('ANNA = "nosuch"\nBEN = "nosuch2"\nEVE = "en-us"\nADAM = "en-us"', "utf-8")
    code, output = here("say", "-f", "scene.txt", "--cast", "cast.toml", "-m", "espeak", "-o", "scene.wav")
    assert code == ExitCode.BAD_INPUT
    assert "'nosuch'" in output
    assert "'nosuch2'" in output
    assert not Path("scene.wav").exists()


def test_voices_in_brackets_need_no_cast(here: Here) -> None:
    text = "[voice:en-us+f2] One. NOTE: two. [voice:en-us+m3] Three."
    code, output = here("say", text, "-m", "espeak", "-o", "x.wav", "--stems", "stems")
    assert code == 0, output
    assert {path.stem for path in Path("stems").iterdir()} == {"en-us_f2", "en-us_m3"}


def test_a_cast_is_chosen(here: Here) -> None:
    code, output = here("say", "ANNA: One.\nBEN: Two.", "--cast", "auto", "-m", "espeak", "-o", "x.wav")
    assert code == 0, output
    assert 'ANNA = "en-us+f2", BEN = "en-us+m3"' in output
    code, output = here("say", "No names.", "--cast", "auto", "-m", "espeak", "-o", "y.wav")
    assert code == ExitCode.BAD_INPUT
    assert "No line of the text begins with a name" in output
