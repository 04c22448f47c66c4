import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import WeightsError
from agentflow.recurrent.text.tokenizer import Tokenizer
from tests.agentflow.recurrent.folders import small_tokenizer

ALL = ["tokenizer", "thinking", "llama", "words"]


@pytest.mark.parametrize("kind", ALL)
def test_text_never_becomes_a_control_token(kind: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(kind)
    unknown = tokenizer.encoder.control.get("<unk>")
    for text in tokenizer.encoder.control:
        ids = tokenizer.encode(f"hello {text} {text}{text}\n{text}")
        assert not set(ids) & (set(tokenizer.encoder.control.values()) - {unknown})


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back_as_it_was(tokenizer: Tokenizer, llama: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert llama.decode(llama.encode(text)) == text


@pytest.mark.parametrize("kind", ["tokenizer", "thinking", "llama"])
def test_marked_text_has_the_ids_of_the_library(kind: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(kind)
    between = ["a  journal\n", " of the run", "", "\n", "  ", "é😀"]
    text = "".join(f"{control}{run}" for control in tokenizer.encoder.control for run in between)
    expected = tokenizer._backend.encode(text, add_special_tokens=False).ids
    assert tokenizer.encoder.encode(tokenizer.encoder.mark(text)) == expected


def test_half_a_surrogate_pair_becomes_a_replacement_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"


@given(ids=st.lists(st.integers(0, 600)))
def test_bytes_of_tokens_joined_are_the_text(tokenizer: Tokenizer, ids: list[int]) -> None:
    joined = b"".join(tokenizer.token_bytes(token) for token in ids)
    assert joined.decode("utf-8", "replace") == tokenizer.decode(ids)


def test_end_tokens_are_those_of_the_configurations_and_the_tokenizer(tmp_path: Path) -> None:
    small_tokenizer(tmp_path)
    assert Tokenizer.load(tmp_path).end_tokens == {2}
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 77}))
    assert Tokenizer.load(tmp_path).end_tokens == {2}, "77 is a word, whatever the default says"
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"eos_token_id": 1}}))
    assert Tokenizer.load(tmp_path).end_tokens == {1, 2}
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    assert Tokenizer.load(tmp_path).end_tokens == {0, 2}


def test_vocabulary_reaches_to_the_greatest_id(tokenizer: Tokenizer, thinking: Tokenizer) -> None:
    assert thinking.vocabulary_size == tokenizer.vocabulary_size + 2
    assert tokenizer.decode([thinking.vocabulary_size + 9]) == ""


def test_unknown_kind_of_model_is_read_by_its_tokenizer_file(tmp_path: Path) -> None:
    small_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "agentflow_mixers"}))
    assert not Tokenizer.load(tmp_path).has_template


def test_folder_without_or_with_a_broken_tokenizer_is_told_in_one_line(tmp_path: Path) -> None:
    for content in (None, "{", '{"version": "1.0"}'):
        if content is not None:
            (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(WeightsError, match="tokenizer cannot be read") as caught:
            Tokenizer.load(tmp_path)
        assert "\n" not in str(caught.value)
