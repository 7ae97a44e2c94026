"""Dockerfile, read as far as the one of voxcli goes: what is not understood is refused, so that nothing is left out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_CONFIGURING = ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
KNOWN = ("ARG", "COPY", "ENV", "RUN", *_CONFIGURING)


@dataclass(frozen=True)
class Instruction:
    """One instruction of a stage."""

    name: str
    flags: dict[str, str]
    words: str
    """Everything behind the flags."""

    @property
    def stages(self) -> Iterator[str]:
        """Stages from which files are taken."""
        if self.name == "COPY" and "from" in self.flags:
            yield self.flags["from"]
        if self.name == "RUN" and "mount" in self.flags:
            yield mount(self.flags["mount"])["from"]

    @property
    def pairs(self) -> dict[str, str]:
        """Names and values of ENV or ARG."""
        found = re.findall(r'([A-Za-z_]\w*)(?:=("[^"]*"|\S*))?', self.words)
        return {name: value.strip('"') for name, value in found}

    @property
    def command(self) -> list[str]:
        """The exec form of CMD, ENTRYPOINT, or of HEALTHCHECK behind its CMD."""
        words: list[str] = json.loads(self.words.removeprefix("CMD "))
        return words


@dataclass
class Stage:
    """A stage: on what it is built, and how."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


def read_dockerfile(text: str, arguments: Mapping[str, str]) -> tuple[list[Stage], dict[str, str]]:
    """Return the stages, and the arguments before the first one. `arguments` are those of --build-arg."""
    stages: list[Stage] = []
    before: dict[str, str] = {}
    for line in _logical_lines(text):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            words = substituted(rest, before).split()
            assert len(words) == 3, line
            assert words[1] == "AS", line
            stages.append(Stage(words[2], words[0]))
            continue
        assert name in KNOWN, f"unknown instruction: {line}"
        flags = dict(re.findall(r"--([a-z-]+)=(\S+)", _flags_of(rest)))
        instruction = Instruction(name, flags, rest[len(_flags_of(rest)) :].strip())
        if stages:
            stages[-1].instructions.append(instruction)
        else:
            assert name == "ARG", line
            before |= {one: arguments.get(one, value) for one, value in instruction.pairs.items()}
    return stages, before


def needed(stages: list[Stage], target: str) -> list[Stage]:
    """Return the stages of which a target is made, in order."""
    by_name = {stage.name: stage for stage in stages}
    wanted, left = set(), [target]
    while left:
        name = left.pop()
        if name in by_name and name not in wanted:
            wanted.add(name)
            sources = [one for instruction in by_name[name].instructions for one in instruction.stages]
            left += [by_name[name].base, *sources]
    return [stage for stage in stages if stage.name in wanted]


def mount(flag: str) -> dict[str, str]:
    """Read --mount=type=bind,from=STAGE,source=PATH,target=PATH."""
    fields = dict(part.split("=", 1) for part in flag.split(","))
    assert fields["type"] == "bind", flag
    return fields


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """Replace $NAME and ${NAME} as the builder does, not as a shell does."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: variables.get(found[1] or found[2], ""), text)


def _flags_of(rest: str) -> str:
    found = re.match(r"(--[a-z-]+=\S+\s+)*", rest)
    assert found
    return found[0]


def _logical_lines(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = ""
    for line in lines:
        whole += line.strip() if not whole else " " + line.strip()
        if whole.endswith("\\"):
            whole = whole[:-1].rstrip()
            continue
        yield whole
        whole = ""
    assert not whole, whole
