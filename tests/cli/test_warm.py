"""A model that stays loaded in another process speaks as it does in this one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clips import spoken_wav
from tests.forks import run_forked
from tests.program import Done, RunIn, said
from tests.resident import home_with_engines
from voxcli.engines.resident.registry import Registry

SPOKEN = "It was quiet in the house. Then somebody knocked 3 times! 没有人回答。 [pause 0.2s] Nobody came."
FORMATS = ("wav", "flac", "mp3", "opus", "aac", "pcm")
SHORT = ("--seed", "7", "--max-len", "8", "--steps", "3")


@dataclass(frozen=True)
class User:
    """Somebody whose engines stay loaded."""

    run_in: RunIn
    environment: dict[str, str]
    registry: Registry
    folder: Path

    def run(self, *arguments: str, stdin: bytes = b"") -> Done:
        return self.run_in(self.folder, self.environment, arguments, stdin)

    def files(self, name: str, *arguments: str, stdin: bytes = b"", formats: Sequence[str] = ("wav",)) -> list[bytes]:
        """Return what a run writes."""
        outputs = [f"{name}.{format}" for format in formats]
        options = [word for output in outputs for word in ("-o", output)]
        done = self.run(*arguments, *options, "--force", stdin=stdin)
        assert done.returncode == 0, said(done)
        return [(self.folder / output).read_bytes() for output in outputs]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    folder = tmp_path_factory.mktemp("work")
    (folder / "clip.wav").write_bytes(spoken_wav())
    with home_with_engines(tmp_path_factory.mktemp("home")) as (environment, registry):
        yield User(run_forked, environment, registry, folder)


ALL = ("voxcpm-2", "voxcpm-1.5", "voxcpm-0.5b")
WAYS = {
    "drawn": (ALL, ()),
    "drawn, faster": (ALL[:1], ("--speed", "1.3", "--volume", "0.7")),
    "named": (ALL, ("--voice", "alloy")),
    "prompt": (ALL, ("--prompt-audio", "clip.wav", "--prompt-text", "What is said in it.")),
    "prompt, without noise": (
        ALL[1:2],
        ("--prompt-audio", "clip.wav", "--prompt-text", "What is said.", "--denoise", "--normalize", "--cfg", "1.7"),
    ),
    "reference": (ALL[:1], ("--ref-audio", "clip.wav", "--instruct", "a calm woman, “slowly”\n& softly")),
    "reference and prompt": (
        ALL[:1],
        ("--ref-audio", "clip.wav", "--prompt-audio", "clip.wav", "--prompt-text", "What is said."),
    ),
    "described": (ALL[:1], ("--instruct", "an old man", "--language", "en", "--gap", "0.3")),
    "retried": (ALL[1:2], ("--retry-badcase", "1", "--min-len", "1")),
    "in one piece": (ALL[2:], ("--no-split",)),
}


@pytest.mark.parametrize(
    ("family", "options"),
    [
        pytest.param(family, options, id=f"{family}, {way}")
        for way, (families, options) in WAYS.items()
        for family in families
    ],
)
def test_a_warm_engine_writes_the_same_bytes(
    user: User, checkpoints: Callable[[str], Path], family: str, options: tuple[str, ...]
) -> None:
    order = ("say", SPOKEN, "-m", str(checkpoints(family)), *SHORT, *options)
    assert user.files("warm", *order) == user.files("own", *order, "--no-warm")


def test_a_pipe_is_spoken_with_the_same_bytes_in_every_format(user: User, checkpoints: Callable[[str], Path]) -> None:
    order = ("say", "-m", str(checkpoints("voxcpm-2")), *SHORT)
    text = SPOKEN.encode()
    warm = user.files("warm", *order, stdin=text, formats=FORMATS)
    assert warm == user.files("own", *order, "--no-warm", stdin=text, formats=FORMATS)


def test_clone_speaks_through_the_engine_too(user: User, checkpoints: Callable[[str], Path]) -> None:
    order = ("clone", "--prompt", "clip.wav", "--prompt-text", "What is said.", "Hello there.")
    options = ("-m", str(checkpoints("voxcpm-1.5")), "--name", "kim", *SHORT)
    assert user.files("warm", *order, *options) == user.files("own", *order, *options, "--no-warm")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--language", "tlh"), 4),
        (("--ref-audio", "clip.wav"), 4),
        (("--prompt-audio", "noise.wav", "--prompt-text", "x"), 4),
    ],
)
def test_errors_are_the_same(
    user: User, checkpoints: Callable[[str], Path], options: tuple[str, ...], code: int
) -> None:
    (user.folder / "noise.wav").write_bytes(b"RIFF\x00\x00")
    order = ("say", "-q", "Hello there.", "-m", str(checkpoints("voxcpm-1.5")), "-o", "x.wav", "--force", *options)
    warm, own = user.run(*order), user.run(*order, "--no-warm")
    assert (warm.returncode, said(warm)) == (own.returncode, said(own))
    assert warm.returncode == code
    assert not (user.folder / "x.wav").exists()


def test_the_engine_starts_once_and_is_used_by_all_runs(user: User, checkpoints: Callable[[str], Path]) -> None:
    order = ("say", "Hello there.", "-m", str(checkpoints("voxcpm-0.5b")), "-o", "x.wav", "--force", *SHORT)
    pids = []
    for _ in range(2):
        assert user.run(*order).returncode == 0
        mine = [entry for entry in user.registry.entries() if entry.model == "voxcpm-0.5b"]
        pids.append([entry.pid for entry in mine])
    assert pids[0] == pids[1]
    assert len(pids[0]) == 1
