"""The voice library under concurrent readers and writers, which are real processes."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary

PATIENCE_SECONDS = 60

PRELUDE = """
import json, random, sys
from pathlib import Path
from typing import Any
from voxcli.errors import NotFound, RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary

library = VoiceLibrary(Path(sys.argv[1]))
who = int(sys.argv[2])

def marked(mark, size=1000):
    # One mark in every part, so that a mixture shows.
    data = str(mark).encode() * (size // len(str(mark)))
    return Voice(style=str(mark), reference=Clip(data, "r.wav"), prompt=Prompt(Clip(data, "p.mp3"), str(mark)))

def tell(what):
    print(json.dumps(what), flush=True)

tell("ready")
sys.stdin.readline()
"""

ADDING = """
won = []
for number in range(15):
    name = f"voice {number}"
    try:
        library.save(name.upper() if who % 2 else name, marked(who))
        won.append(number)
    except RequestError:
        pass
tell(won)
"""

REPLACING = """
for turn in range(150):
    library.save("anna", marked(f"{who}.{turn}"), overwrite=True)
tell("done")
"""

REPLACING_FOREVER = """
turn = 0
while True:
    library.save("anna", marked(turn, 1 << 20), overwrite=True)
    library.save(f"new {turn}", marked(turn, 1 << 20))
    turn += 1
    tell(turn)
"""

LIVING = """
mine = {}
chance = random.Random(who)
for turn in range(40):
    name = f"{who}-{chance.randrange(6)}"
    other = f"{who}-{chance.randrange(6)}"
    if name not in mine:
        library.save(name, marked(turn))
        mine[name] = str(turn)
    elif chance.random() < 0.3:
        library.remove(name)
        del mine[name]
    elif other not in mine:
        library.rename(name, other)
        mine[other] = mine.pop(name)
    else:
        library.save(name, marked(turn), overwrite=True)
        mine[name] = str(turn)
tell(mine)
"""


@contextmanager
def process(code: str, folder: Path, who: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """A process that is ready, and goes when it is told to."""
    command = [sys.executable, "-c", PRELUDE + code, str(folder), str(who)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert told(started) == "ready"
            yield started
        finally:
            started.kill()


def told(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def go(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def ended_well(process: "subprocess.Popen[str]") -> bool:
    return process.wait(PATIENCE_SECONDS) == 0


def whole(voice: Voice) -> str:
    """Return the mark of a voice, which all its parts bear."""
    assert voice.style
    assert voice.reference
    assert voice.prompt
    data = voice.reference.data
    assert data == voice.prompt.clip.data
    assert data == voice.style.encode() * (len(data) // len(voice.style))
    assert voice.prompt.transcript == voice.style
    return voice.style


def test_of_several_who_add_one_name_exactly_one_wins(tmp_path: Path) -> None:
    with ExitStack() as stack:
        adding = [stack.enter_context(process(ADDING, tmp_path, who)) for who in range(4)]
        go(*adding)
        won = [told(one) for one in adding]
        assert all(map(ended_well, adding))
    assert Counter(number for one in won for number in one) == dict.fromkeys(range(15), 1)
    library = VoiceLibrary(tmp_path)
    assert len(library.names()) == 15
    for who, numbers in enumerate(won):
        for number in numbers:
            assert whole(library.load(f"voice {number}")) == str(who)


def test_a_reader_sees_a_voice_as_it_was_before_or_after_a_change(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", Voice(style="0", reference=Clip(b"00"), prompt=Prompt(Clip(b"00"), "0")))
    seen = set()
    with process(REPLACING, tmp_path, 1) as one, process(REPLACING, tmp_path, 2) as other:
        go(one, other)
        while one.poll() is None or other.poll() is None:
            seen.add(whole(library.load("Anna")))
        assert ended_well(one)
        assert ended_well(other)
    assert len(seen) > 10
    assert whole(library.load("anna")) in ("1.149", "2.149")
    assert len(list((tmp_path / "anna").iterdir())) == 3


def test_nothing_is_lost_among_those_who_add_rename_and_remove(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    with ExitStack() as stack:
        living = [stack.enter_context(process(LIVING, tmp_path, who)) for who in range(3)]
        go(*living)
        while any(one.poll() is None for one in living):
            for name in library.names():
                if voice := library.find(name):
                    whole(voice)
        expected: dict[str, str] = {}
        for one in living:
            expected |= told(one)
        assert all(map(ended_well, living))
    assert {name: whole(library.load(name)) for name in library.names()} == expected
    assert {path.name for path in tmp_path.iterdir()} == {".lock", *expected}


def test_whoever_is_killed_leaves_whole_voices_and_a_free_library(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    chance = random.Random(0)
    for _ in range(5):
        with process(REPLACING_FOREVER, tmp_path) as writer:
            go(writer)
            for _ in range(chance.randrange(1, 4)):
                told(writer)
            writer.kill()
        for name in library.names():
            whole(library.load(name))
            if name != "anna":
                library.remove(name)
    library.save("anna", library.load("anna"), overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "anna"}
    assert len(list((tmp_path / "anna").iterdir())) == 3
