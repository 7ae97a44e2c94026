"""Casts: what a file may say of its speakers, and how everything wrong in it is named."""

from pathlib import Path

import pytest

from voxcli.errors import RequestError
from voxcli.voices.cast import CastMember, read_cast


def cast_file(folder: Path, text: str) -> Path:
    path = folder / "cast.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_cast_gives_each_name_a_voice(tmp_path: Path) -> None:
    text = """
pause = 0.5
directions = "skip"
prose = ["NOTE"]
ANNA = "af_bella"
[BEN]
clip = "ben.wav"
transcript = "It was late."
speed = 0.9
also = ["BENJAMIN"]
[narrator]
voice = "af_heart"
language = "english"
"""
    cast = read_cast(cast_file(tmp_path, text))
    assert cast.members["ANNA"] == CastMember(voice="af_bella")
    ben = CastMember(clip=tmp_path / "ben.wav", transcript="It was late.", speed=0.9, also=("BENJAMIN",))
    assert cast.members["BEN"] == ben
    assert (cast.narrator.voice, cast.narrator.language) == ("af_heart", "en")
    assert (cast.pause, cast.read_directions, cast.prose) == (0.5, False, {"NOTE"})
    assert cast.names().find("Benjamin") == "BEN"


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    text = (
        'pauze = 1\npause = -1\n[ANNA]\nvoise = "x"\nspeed = 9\n[BEN]\nvoice = "a"\nclip = "b"\n[ben]\ntranscript = "t"'
    )
    with pytest.raises(RequestError) as found:
        read_cast(cast_file(tmp_path, text))
    message = str(found.value)
    for said in ("pauze", "'pause'?", "pause is -1", "'voise'", "ANNA.speed is 9", "BEN has both", "twice"):
        assert said in message


@pytest.mark.parametrize(("text", "said"), [("a = ", "not valid TOML"), ("ANNA = 1", "ANNA is neither a setting")])
def test_a_file_that_is_no_cast_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_cast(cast_file(tmp_path, text))
    with pytest.raises(RequestError, match="Cannot read"):
        read_cast(tmp_path / "none.toml")
