"""Parity cases drawn at random from a seed, and a few of full size."""

import random
from typing import Any

from tests.checkpoints import FAMILIES
from tests.parity.cases import MUP, Case, Recording

_WORDS = (
    *(
        "你好",
        "世界",
        "中国人",
        "人工",
        "清晨",
        "天气",
        "语音合成",
        "，",
        "。",
        "龘",
        "啊",
        "😀",
        "\n",
        "  ",
        "\t",
        "　",
    ),
    *(
        " hello",
        " the",
        " world",
        " sing",
        " and",
        " stone",
        "ing",
        " naïve",
        ", ",
        "! ",
        " 10",
        "?",
        "{ni3}",
        " \u00a0",
    ),
)
_RATES = (8000, 16000, 22050, 24000, 44100, 48000)


def drawn_cases(seed: int) -> list[Case]:
    """Draw one case for every family with every kind of voice that it takes."""
    draw = random.Random(seed)
    ways = [(family, with_prompt, False) for family in FAMILIES for with_prompt in (False, True)]
    ways += [("voxcpm-2", with_prompt, True) for with_prompt in (False, True)]
    return [_drawn_case(draw, seed, *way) for way in ways]


def _drawn_case(draw: random.Random, seed: int, family: str, with_prompt: bool, with_reference: bool) -> Case:
    limit = draw.choice((3, 5, 8))
    way = {(0, 0): "plain", (1, 0): "continuation", (0, 1): "reference", (1, 1): "both"}[with_prompt, with_reference]
    return Case(
        name=f"{seed}-{way}-{family.removeprefix('voxcpm-')}",
        family=family,
        text=_text(draw) + draw.choice(("好", "a")),
        checkpoint=draw.randrange(2**32),
        stored=draw.choice(("float32", "bfloat16")),
        changes=draw.choice(({}, {}, MUP)),
        lora=draw.choice((None, None, draw.randrange(2**32))),
        style=draw.choice((None, "calm", "一个老人")) if family == "voxcpm-2" else None,
        prompt=_recording(draw) if with_prompt else None,
        transcript=_text(draw) + draw.choice((".", "。", "")) if with_prompt else "",
        reference=_recording(draw) if with_reference else None,
        seed=draw.randrange(2**32),
        steps=draw.choice((1, 4, 10, draw.randrange(2, 60))),
        guidance=draw.choice((1.0, 2.0, 3.0, round(draw.uniform(1, 4), 2))),
        min_patches=draw.choice((0, 2, limit)),
        max_patches=draw.choice((limit, limit, None)),
    )


def _text(draw: random.Random) -> str:
    return "好" + "".join(draw.choice(_WORDS) for _ in range(draw.randrange(1, 9)))


def _recording(draw: random.Random) -> Recording:
    return Recording(
        seed=draw.randrange(2**32),
        seconds=draw.uniform(0.03, 2.0),
        sample_rate=draw.choice(_RATES),
        channels=draw.choice((1, 1, 2)),
    )


def full_cases(seed: int) -> list[Case]:
    """Return cases of the two larger models in their full size, stored as published, a few patches each."""
    clip = Recording(seed=seed, seconds=1.5, sample_rate=44100)
    text, transcript = "今天天气很好, and the wind is on the hill.", "你好，世界。"
    common: dict[str, Any] = {"size": "full", "stored": "bfloat16", "checkpoint": seed, "seed": seed, "max_patches": 4}
    return [
        Case(name=f"{seed}-full-plain-1.5", family="voxcpm-1.5", text=text, **common),
        Case(
            name=f"{seed}-full-continuation-1.5",
            family="voxcpm-1.5",
            text=text,
            prompt=clip,
            transcript=transcript,
            **common,
        ),
        Case(name=f"{seed}-full-reference-2", family="voxcpm-2", text=text, reference=clip, **common),
        Case(
            name=f"{seed}-full-both-2",
            family="voxcpm-2",
            text=text,
            reference=clip,
            prompt=clip,
            transcript=transcript,
            **common,
        ),
    ]
