"""Options and commands stay on the command line: no message that others may read names one."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import voxcli
from tests.structure import Module, read_modules
from voxcli.audio.format import AudioFormat
from voxcli.cli.app import app
from voxcli.errors import RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.openai import messages as openai
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

PACKAGE = Path(voxcli.__file__).parent
COMMANDS = "|".join(get_command(app).commands)  # type: ignore[attr-defined]
ADVICE = re.compile(rf"(?<![\w-])--[a-z]|\bvoxcli (?:{COMMANDS})\b|\bpip install\b")

FOR_THE_SHELL = {
    "installation": "makes command lines, for `on_command_line`",
    "engines.resident.registry": "says how to see a log, for `on_command_line`",
    "bench.report.tables": "titles of tables that the command line prints",
    "bench.measure.metrics": "descriptions of the metrics, which the command line lists",
    "bench.report.markdown": "the title of a report",
}


def advice_to_everyone(module: Module) -> Iterator[str]:
    """Yield the texts with an option or a command, except what only the shell and the operator's log show."""
    nodes = list(ast.walk(module.tree))
    shown_on_command_line = [
        node for call in nodes if isinstance(call, ast.keyword) and call.arg == "on_command_line" for node in [call]
    ]
    names = {
        name.id for keyword in shown_on_command_line for name in ast.walk(keyword.value) if isinstance(name, ast.Name)
    }
    spared: list[ast.AST] = [*shown_on_command_line]
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Constant()):
                spared.append(node)  # a docstring
            case ast.Assign(targets=[ast.Name(id=name)]) if name in names:
                spared.append(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"))):
                spared.append(node)
            case ast.Call(func=ast.Name(id="_log_refused")):
                spared.append(node)
    known = {id(inner) for node in spared for inner in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
            is_option_alone = node.value.startswith("--")  # a value for `on_command_line`, or for another program
            if not is_option_alone and ADVICE.search(node.value):
                yield f"line {node.lineno}: {node.value}"


def test_below_the_command_line_no_message_names_an_option_or_a_command() -> None:
    found = [
        f"{name}, {place}"
        for name, module in read_modules(PACKAGE).items()
        if name.partition(".")[0] != "cli" and name not in FOR_THE_SHELL
        for place in advice_to_everyone(module)
    ]
    assert found == []


def test_the_exceptions_are_needed() -> None:
    assert all(list(advice_to_everyone(read_modules(PACKAGE)[name])) for name in FOR_THE_SHELL)


FIELD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
CLIP = Clip(data=b"RIFF", name="a.wav")
INEXPRESSIBLE = [
    (SynthesisRequest(text="Hello."), ClientOptions(model="m")),
    (SynthesisRequest(text="Hello."), ClientOptions(mode=9)),
    (SynthesisRequest(text="Hello.", normalize=True, language="xx"), ClientOptions()),
    (
        SynthesisRequest(text="Hello.", sampling=Sampling(steps=32, seed=2**40, guidance=3.5, retries=2)),
        ClientOptions(),
    ),
    (SynthesisRequest(text="Hello.", sampling=Sampling(min_patches=9, max_patches=4096)), ClientOptions(stream=False)),
    (SynthesisRequest(text="Hello.", voice=Voice(name="")), ClientOptions(format=AudioFormat.OPUS)),
    (SynthesisRequest(text="Hello.", voice=Voice(style="")), ClientOptions()),
    (SynthesisRequest(text="Hello.", voice=Voice(reference=CLIP)), ClientOptions()),
    (SynthesisRequest(text="Hello.", voice=Voice(prompt=Prompt(clip=CLIP, transcript="Hello."))), ClientOptions()),
]


@pytest.mark.parametrize("to_call", [gptsovits.to_call, gptsovits.v1_call, openai.to_call, voxcpm.to_call])
def test_what_a_protocol_cannot_express_is_told_by_options_and_not_by_fields(
    to_call: Callable[[SynthesisRequest, ClientOptions], object],
) -> None:
    shown = []
    for request, options in INEXPRESSIBLE:
        try:
            to_call(request, options)
        except RequestError as error:
            shown.append(error.for_command_line)
    assert shown
    assert not [message for message in shown if FIELD.search(message)]
