import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.recurrent.text.streaming import TextStream
from agentflow.recurrent.text.tokenizer import Tokenizer

IDS = st.lists(st.integers(0, 620), max_size=60)
WRITTEN = st.text(st.sampled_from("ab é😀\n�<>"), max_size=40)
STOPS = st.lists(st.text(st.sampled_from("ab é😀\n"), min_size=1, max_size=4), max_size=3).map(
    tuple
)


def told(tokenizer: Tokenizer, ids: list[int], stop: tuple[str, ...] = ()) -> str:
    stream = TextStream(tokenizer, stop)
    pieces = [stream.push(token) for token in ids]
    pieces.append(stream.finish())
    assert stream.text == "".join(pieces)
    return stream.text


def cut(text: str, stop: tuple[str, ...]) -> str:
    ends = [(text.find(one) + len(one), text.find(one)) for one in stop if one in text]
    return text[: min(ends)[1]] if ends else text


@given(ids=IDS)
def test_pieces_joined_are_the_text_whatever_the_tokens(
    tokenizer: Tokenizer, thinking: Tokenizer, llama: Tokenizer, words: Tokenizer, ids: list[int]
) -> None:
    for one in (tokenizer, thinking, llama, words):
        assert told(one, ids) == one.decode(ids)


@given(text=WRITTEN, stop=STOPS)
def test_text_ends_before_the_stop_text_that_is_complete_first(
    tokenizer: Tokenizer, llama: Tokenizer, text: str, stop: tuple[str, ...]
) -> None:
    for one in (tokenizer, llama):
        ids = one.encode(text)
        assert told(one, ids, stop) == cut(one.decode(ids), stop)


@given(ids=IDS, stop=STOPS)
def test_no_stop_text_is_told(tokenizer: Tokenizer, ids: list[int], stop: tuple[str, ...]) -> None:
    assert told(tokenizer, ids, stop) == cut(tokenizer.decode(ids), stop)


def single(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return one token a byte."""
    of = {tokenizer.token_bytes(token): token for token in range(tokenizer.vocabulary_size)}
    return [of[bytes([byte])] for byte in text.encode()]


def test_character_is_told_with_its_last_byte(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer)
    assert [stream.push(token) for token in single(tokenizer, "é😀a")] == [
        "",
        "é",
        "",
        "",
        "",
        "😀",
        "a",
    ]


def test_stop_text_over_tokens_is_held_back_until_decided(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer, ("END",))
    assert [stream.push(token) for token in single(tokenizer, "aENxENDb")] == [
        *("a", "", "", "ENx", "", "", "", ""),
    ]
    assert stream.is_stopped
    assert (stream.finish(), stream.text) == ("", "aENx")


def test_stop_text_that_is_complete_first_ends_within_a_token_too(tokenizer: Tokenizer) -> None:
    words = ((one, tokenizer.decode([one])) for one in range(tokenizer.vocabulary_size))
    token, text = next(pair for pair in words if len(pair[1]) == len(set(pair[1])) == 3)
    stream = TextStream(tokenizer, (text, text[1]))
    assert stream.push(token) == text[0]


def test_held_beginning_of_a_stop_text_is_told_at_the_end(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer, ("END",))
    assert [stream.push(token) for token in single(tokenizer, "EN")] == ["", ""]
    assert stream.finish() == "EN"


def test_byte_tokens_are_told_together_when_their_run_ends(llama: Tokenizer) -> None:
    stream = TextStream(llama)
    pieces = [stream.push(token) for token in llama.encode("a😀b")]
    assert "😀b" in pieces[-1]
    assert set(pieces[1:-1]) == {""}


def test_empty_stop_text_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        TextStream(tokenizer, ("",))
