"""Phrases: what an environment says again and again is one token, and names are not part of any."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.models.protocol import Message
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student import Conversation
from agentflow.training.student.phrases import frequent_words, phrases
from agentflow.training.student.tokenizers import train_tokenizer

NAMES = ("fig", "plum", "pear", "quince")


def conversation(name: str) -> Conversation:
    asked = f"You are in the long hall. There is also a red {name} here. It costs 12 pence.\n"
    return Conversation(
        messages=(
            Message(role="user", text=asked),
            Message(role="assistant", text=f'take("{name}")'),
        )
    )


DATA = [conversation(name) for name in NAMES * 10]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(DATA, tmp_path_factory.mktemp("t"), vocabulary=300, most_phrases=9)


def test_a_phrase_ends_at_sentences_digits_and_names() -> None:
    assert set(phrases(DATA, 99)) == {
        "You are in the long hall. ",
        "There is also a red ",
        "It costs ",
    }  # one word, such as `pence`, is no phrase


def test_little_words_are_no_names_though_replies_quote_them() -> None:
    texts = ("You are in the hall. ", 'act("put fig in box")')
    messages = (Message(role="user", text=texts[0]), Message(role="assistant", text=texts[1]))
    assert "You are in the hall. " in phrases([Conversation(messages=messages)] * 20, 9)


def test_those_that_save_most_come_first() -> None:
    assert phrases(DATA, 1) == ["You are in the long hall. "]


def test_a_name_has_the_same_tokens_after_a_phrase_and_in_quotes(trained: Tokenizer) -> None:
    for name in (*NAMES, "kumquat"):
        alone = trained.encode(name)
        asked, reply = (message.text for message in conversation(name).messages)
        for text in (asked, reply):
            ids = trained.encode(text)
            assert any(ids[at : at + len(alone)] == alone for at in range(len(ids)))
    assert len(trained.encode("You are in the long hall. ")) == 1


def test_digits_are_pieces_of_at_most_so_many(tmp_path: Path) -> None:
    def pieces(digits: int) -> list[bytes]:
        made = train_tokenizer(
            DATA, tmp_path / str(digits), vocabulary=300, most_phrases=9, digits=digits
        )
        return [made.token_bytes(token) for token in made.encode("It costs 12123 pence.")][1:-2]

    assert pieces(1)[:5] == [b"1", b"2", b"1", b"2", b"3"]
    assert pieces(2)[:4] == [b"12", b"12", b"3", b" "]


def test_words_of_the_data_are_tokens_and_others_are_spelled(tmp_path: Path) -> None:
    made = train_tokenizer(DATA, tmp_path, vocabulary=300, most_phrases=9, most_words=20, digits=2)

    def pieces(text: str) -> list[str]:
        return [made.token_bytes(token).decode() for token in made.encode(text)]

    assert pieces("pencehere") == list("pencehere")  # two of them are not one
    assert pieces("a cap for 12 pence") == [*"a cap for ", "12", " ", "pence"]
    assert frequent_words(DATA, 3) == ["It", "There", "You"]
    assert set(NAMES).isdisjoint(frequent_words(DATA, 99))  # each stands in ten conversations


@given(text=st.text(max_size=60) | st.sampled_from([m.text for c in DATA for m in c.messages]))
def test_texts_come_back_whole(text: str, trained: Tokenizer) -> None:
    assert trained.decode(trained.encode(text)) == text
