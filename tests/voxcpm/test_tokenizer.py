"""From text to ids."""

import json
from collections.abc import Callable
from pathlib import Path

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
