"""The reasoning of a model is not for the listener, in whatever marks it stands."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxcli.text.reasoning import SpokenText, without_reasoning

CASES = [
    ("<think>\nA greeting.\n</think>\n\nHello.", "\n\nHello."),
    ("<thinking>Plan: greet.</thinking>Hi.", "Hi."),
    ("Sure. <think>hm</think>Yes.", "Sure. Yes."),
    ("<reflection>r</reflection><scratchpad a='b'>s</scratchpad><seed:think>t</seed:think>o", "o"),
    ("<THINK>a\n\nb</Think >c<think/>d", "cd"),
    ("<think>a<think>b</think>c</think>d", "d"),
    ("◁think▷a◁/think▷b", "b"),
    ("[THINK]a[/THINK]b [THINKING] c", "b [THINKING] c"),
    ("[Start thinking]\na\n[End thinking]\nb", "\nb"),
    ("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>", "b"),
    ("<|START_THINKING|>a<|END_THINKING|>b", "b"),
    ("<unused94>thought\na<unused95>b", "b"),
    ('<details type="reasoning" done="true"><summary>s</summary>a</details>b', "b"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b"),
    ("<|channel|>commentary to=f.x <|constrain|>json<|message|>{}<|call|>b", "b"),
    ("analysisWe need.assistantfinalHello", "Hello"),
    ("Thinking...\nThe user\n...done thinking.\n\nHello", "\n\nHello"),
    ('<tool_call>{"name": "f"}</tool_call>b', "b"),
    ("<|im_start|>Hi<|im_end|><｜end▁of▁sentence｜></think>!", "Hi!"),
    # No reasoning.
    ("analysis of data", "analysis of data"),
    ("Think about it", "Think about it"),
    ("a < b and a<b> c <x [T", "a < b and a<b> c <x [T"),
    ("`<think>` is a tag", "`<think>` is a tag"),
    ("```xml\n<think>\n```\nHi", "```xml\n<think>\n```\nHi"),
    # Reasoning that never ends.
    ("<think>Well, the user", ""),
    ("Hello.\n<think>Well, the user", "Hello.\n"),
    ("The <think> tag marks it.", "The  tag marks it."),
    ("<think>I use <think> here</think>Hello.", "Hello."),
    ("Thinking...\nis what I do.", "is what I do."),
]


@pytest.mark.parametrize(("output", "text"), CASES)
def test_reasoning_is_left_out(output: str, text: str) -> None:
    assert without_reasoning(output) == text


MARKS = ["<think>", "</think>", "<", "th", "ink>", "a", "`", "```", "[THINK]", "[/", "THINK]", "◁think▷", "◁/think▷"]
CHANNELS = ["<|channel|>", "analysis", "<|message|>", "final", "<|end|>", "<|start|>assistant", "assistantfinal"]
MORSELS = [
    *MARKS,
    *CHANNELS,
    "<details",
    "</details>",
    "/",
    "\n",
    " ",
    "Thinking...\n",
    "\n...done thinking.\n",
    "<think x='",
    " type=reasoning>",
    "x" * 150,
]


@settings(max_examples=500)
@example("<<think><think x='[THINK]ink>")
@given(st.lists(st.sampled_from(MORSELS)).map("".join))
def test_cutting_the_output_makes_no_difference(output: str) -> None:
    reader = SpokenText()
    assert "".join(map(reader.feed, output)) + reader.finish() == without_reasoning(output)


@given(st.text(st.characters(blacklist_characters="<◁", blacklist_categories=["Cs"])))
def test_text_without_marks_passes_unchanged(text: str) -> None:
    text = "Hello. " + text.replace("THINK", "").replace("thinking", "")
    assert without_reasoning(text) == text


def test_text_is_not_held_back() -> None:
    reader = SpokenText()
    assert [reader.feed(piece) for piece in ["One", " a <", " b ", "<b>", "x</th", "ink>"]] == [
        "One",
        " a ",
        "< b ",
        "<b>",
        "x",
        "",
    ]
