"""A small tokenizer like the published ones: byte-pair encoding, `▁` for a space, byte fallback."""

import json
import string
from pathlib import Path
from typing import Any

_SPECIAL = {
    0: "<unk>",
    1: "<s>",
    2: "</s>",
    101: "<|audio_start|>",
    102: "<|audio_end|>",
    103: "<|audio_prompt_start|>",
    104: "<|audio_prompt_end|>",
}

_CHARACTERS = [
    *("▁" + string.ascii_letters + string.digits + "!\"#$%&'()*+,-./:;<=>?@[]_{|}~"),
    *"，。！？、：；“”（）…é",
    *"你好世界中国人工智能语音合成今天气很的是我们在一不了有和大这为上个到说时要就出会可也对生下来发过小心春风十二月三公司清晨",
]

_PAIRS = [
    # Words in the vocabulary, which are split into characters again before they reach the model.
    *("你 好", "世 界", "中 国", "中国 人", "语 音", "今 天", "天 气", "▁ 你好", "▁ 世界"),
    # Words that are in it only with a leading space, which are not split.
    *("▁ 人", "▁人 工", "▁ 清", "▁清 晨"),
    *("h e", "he l", "hel l", "hell o", "▁ hello", "o r", "w or", "l d", "wor ld", "▁ world", "t h", "th e", "▁ the"),
    *("i n", "in g", "a n", "an d", "▁ and", "r e", "e r", "o n", "▁ a", "▁ s", "▁ t", "▁ w", "s t", "e n", "1 0"),
]
"""Merges, in order of priority."""


def write_tokenizer(folder: Path) -> None:
    """Write the three files of a tokenizer that both `tokenizers` and transformers' LlamaTokenizerFast can read."""
    _write(folder / "tokenizer.json", _tokenizer())
    marks = {"bos_token": _SPECIAL[1], "eos_token": _SPECIAL[2], "unk_token": _SPECIAL[0]}
    _write(folder / "special_tokens_map.json", marks)
    settings = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in _added()},
        "clean_up_tokenization_spaces": False,
        "legacy": True,
        "model_max_length": 1000000000000000019884624838656,
        "tokenizer_class": "LlamaTokenizer",
        **marks,
    }
    _write(folder / "tokenizer_config.json", settings)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")


def _added() -> list[dict[str, Any]]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": number, "content": text, **flags} for number, text in _SPECIAL.items()]


def _vocabulary() -> dict[str, int]:
    """Assign the special tokens their ids, and the remaining ids to the other tokens in order."""
    pieces = [*_CHARACTERS, *(f"<0x{byte:02X}>" for byte in range(256)), *("".join(pair.split()) for pair in _PAIRS)]
    taken = set(_SPECIAL)
    free = (number for number in range(len(pieces) + len(taken)) if number not in taken)
    return {text: number for number, text in _SPECIAL.items()} | dict(zip(pieces, free, strict=True))


def _tokenizer() -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(),
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": _vocabulary(),
            "merges": _PAIRS,
        },
    }
