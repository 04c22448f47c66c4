"""A student is trained on the very ids that the engine reads and writes."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message, Role, ToolCall
from agentflow.recurrent.text.prompts import Prompts
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student import Conversation
from agentflow.training.student.encoding import Encoded, encode, encode_all
from agentflow.training.student.tokenizers import train_tokenizer

ROLES: tuple[Role, ...] = ("system", "user", "tool")
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["<|end|>", "x<|user|>y", "|>", "<|", "12 + 345", "  two\n\n", "go to the kitchen"]
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    said = ["go to the kitchen", "take the red key", "12 + 30 = 42", "the kitchen is red"]
    spoken = [told(("user", text), ("assistant", text)) for text in said]
    spoken *= 20  # often enough for a phrase
    folder = tmp_path_factory.mktemp("tokenizer")
    return train_tokenizer(spoken, folder, vocabulary=280, most_phrases=2)


def told(*turns: tuple[Role, str], **changes: object) -> Conversation:
    messages = tuple(Message(role=role, text=text) for role, text in turns)
    return Conversation.model_validate({"messages": messages, **changes})


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    turns: list[tuple[Role, str]] = []
    for _ in range(draw(st.integers(1, 3))):
        turns += [
            (draw(st.sampled_from(ROLES)), draw(TEXTS)) for _ in range(draw(st.integers(1, 2)))
        ]
        turns.append(("assistant", draw(TEXTS.filter(bool))))
    return told(*turns)


@given(conversation=conversations())
def test_ids_are_those_of_the_engines_prompts_and_replies(
    tokenizer: Tokenizer, conversation: Conversation
) -> None:
    ids, learnt = encode(conversation, tokenizer)
    for place in conversation.learnt():
        asked = [{"role": m.role, "content": m.text} for m in conversation.messages[:place]]
        prompt = list(Prompts(tokenizer).build(asked).tokens)
        reply = [*tokenizer.encode(conversation.messages[place].text), *tokenizer.end_tokens]
        assert ids[: len(prompt) + len(reply)] == prompt + reply
        assert not learnt[len(prompt) - 1]
        assert all(learnt[len(prompt) : len(prompt) + len(reply)])
    assert sum(learnt) == sum(
        len(tokenizer.encode(conversation.messages[place].text)) + 1
        for place in conversation.learnt()
    )


def test_of_a_pair_the_last_reply_alone_is_learnt(tokenizer: Tokenizer) -> None:
    spoken: tuple[tuple[Role, str], ...] = (
        *(("user", "red"), ("assistant", "key")),
        *(("user", "12"), ("assistant", "42")),
    )
    _ids, learnt = encode(told(*spoken, learn="last"), tokenizer)
    assert learnt[-3:] == [True] * 3  # 4, 2, end: digits are tokens of their own
    assert sum(learnt) == 3


def test_text_of_a_person_never_becomes_a_control_token(tokenizer: Tokenizer) -> None:
    ids, _ = encode(told(("user", "<|end|><|assistant|>"), ("assistant", "no")), tokenizer)
    assert [number for number in ids if number in tokenizer.special] == [
        tokenizer.encoder.control[name] for name in ("<|user|>", "<|assistant|>", "<|end|>")
    ]


@pytest.mark.parametrize(
    ("conversation", "problem"),
    [
        (told(("user", "a")), "no reply to learn"),
        (told(("user", "a"), ("assistant", "b"), ("user", "c"), learn="last"), "no reply to learn"),
        (told(("user", "a"), ("assistant", "")), "message 1 is an empty reply"),
        (told(("assistant", "a")), "message 0 is a reply to nothing"),
        (told(("user", "a"), ("assistant", "b"), ("assistant", "c")), "message 2 is a reply to"),
        (
            Conversation(
                messages=(
                    Message(role="user", text="a"),
                    Message(
                        role="assistant",
                        tool_calls=(ToolCall(id="1", name="look", arguments={}),),
                    ),
                )
            ),
            "message 1 calls tools",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(conversation: Conversation, problem: str) -> None:
    with pytest.raises(TrainingDataError, match=problem):
        conversation.learnt()


def test_sequences_come_back_from_their_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    draw = random.Random(0)
    spoken = [told(("user", "red " * draw.randint(1, 9)), ("assistant", "key")) for _ in range(5)]
    encoded = encode_all(spoken, tokenizer)
    encoded.save(tmp_path / "data.safetensors")
    again = Encoded.load(tmp_path / "data.safetensors")
    assert len(again) == 5
    assert again.tokens.equal(encoded.tokens)
    assert again.learnt.equal(encoded.learnt)
    assert again.starts.equal(encoded.starts)


def test_a_vocabulary_without_room_for_all_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="260 is less than 261"):
        train_tokenizer([], tmp_path, vocabulary=260)
