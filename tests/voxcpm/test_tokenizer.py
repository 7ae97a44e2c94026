"""From text to ids."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.tokenizer import write_tokenizer
from voxcli.errors import ModelError, RequestError
from voxcli.voxcpm.tokenizer import Tokenizer, on_one_line

VOCABULARY = 73448


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return Tokenizer(folder, VOCABULARY)


def test_chinese_words_are_read_character_by_character(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.ids("你好世界")) >= 4
    assert tokenizer.ids("你好世界")[-4:] == [i for c in "你好世界" for i in tokenizer.ids(c)[-1:]]


@given(st.lists(st.sampled_from(["你好", "hello", "10:30", "…"]), min_size=1), st.text(" \t\n\u3000", min_size=1))
def test_white_space_of_any_length_is_one_space(words: list[str], space: str) -> None:
    assert on_one_line(space.join(words)) == " ".join(words)


@given(st.text())
def test_any_text_has_ids_within_the_vocabulary_or_is_empty(tokenizer: Tokenizer, text: str) -> None:
    if text.strip():
        assert all(0 <= number < VOCABULARY for number in tokenizer.ids(text))
    else:
        with pytest.raises(RequestError, match="empty"):
            on_one_line(text)


def declare(folder: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((folder / name).read_text("utf-8"))
    edit(document)
    (folder / name).write_text(json.dumps(document), "utf-8")


def token(content: str, *, special: bool) -> dict[str, Any]:
    return {
        "content": content,
        "special": special,
        **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
    }


@pytest.mark.parametrize("special", [True, False])
def test_tokens_that_only_tokenizer_config_json_names_are_tokens(tmp_path: Path, special: bool) -> None:
    write_tokenizer(tmp_path)
    count = len(json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    before = Tokenizer(tmp_path, VOCABULARY).ids("a<|laugh|>b")
    declare(
        tmp_path,
        "tokenizer_config.json",
        lambda t: t["added_tokens_decoder"].update({str(count): token("<|laugh|>", special=special)}),
    )
    ids = Tokenizer(tmp_path, VOCABULARY).ids("a<|laugh|>b")
    assert ids.count(count) == 1
    assert len(ids) < len(before)
    with pytest.raises(ModelError, match="another model"):
        Tokenizer(tmp_path, count)


def test_additional_special_tokens_are_tokens(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    before = Tokenizer(tmp_path, VOCABULARY).ids("a<|sigh|>b")
    declare(tmp_path, "special_tokens_map.json", lambda t: t.update({"additional_special_tokens": ["<|sigh|>"]}))
    assert len(Tokenizer(tmp_path, VOCABULARY).ids("a<|sigh|>b")) < len(before)


def test_a_token_with_a_number_that_it_cannot_have_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    declare(
        tmp_path,
        "tokenizer_config.json",
        lambda t: t["added_tokens_decoder"].update({"9999": token("<|laugh|>", special=True)}),
    )
    with pytest.raises(ModelError, match=r"tokenizer_config\.json.*laugh.*9999"):
        Tokenizer(tmp_path, VOCABULARY)


@pytest.mark.parametrize("text", ["", "[]", '{"added_tokens_decoder": []}', '{"added_tokens_decoder": {"x": {}}}'])
def test_a_damaged_tokenizer_config_is_named(tmp_path: Path, text: str) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is damaged"):
        Tokenizer(tmp_path, VOCABULARY)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokenizer(tmp_path, VOCABULARY)


@pytest.mark.parametrize("damage", [lambda t: t[: len(t) // 2], lambda t: "{}", lambda t: ""])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[str], str]) -> None:
    write_tokenizer(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(damage(file.read_text("utf-8")), "utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        Tokenizer(tmp_path, VOCABULARY)


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="another model"):
        Tokenizer(tmp_path, 105)
    document = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    document["added_tokens"] = []
    document["model"]["vocab"] = {"<unk>": 0, "a": 1}
    document["model"]["merges"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ModelError, match="another model"):
        Tokenizer(tmp_path, VOCABULARY)
