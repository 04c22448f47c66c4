"""Each format to the letter, and what it cannot say."""

import json

import pytest

from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message, ToolCall, ToolSpec
from agentflow.training.formats import Format, line_of
from agentflow.training.pairs import Origin, Pair, Tokens

ORIGIN = Origin(
    run="r1",
    step=3,
    name="solve",
    planner="recode",
    depth=0,
    reward=1.0,
    tokens=Tokens(prompt=5, completion=2),
    model="openai:m",
    outcome="worked",
)
LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})
WISH = ToolCall(id="c1", name="look", arguments={"at": "ü"})


def pair(*turns: Message, tools: tuple[ToolSpec, ...] = ()) -> Pair:
    return Pair(prompt=turns[:-1], reply=turns[-1], tools=tools, origin=ORIGIN)


def system(text: str) -> Message:
    return Message(role="system", text=text)


def user(text: str) -> Message:
    return Message(role="user", text=text)


def assistant(text: str, *calls: ToolCall) -> Message:
    return Message(role="assistant", text=text, tool_calls=calls)


def tool(text: str) -> Message:
    return Message(role="tool", text=text, tool_call_id="c1")


TALK = pair(system("S"), user("q1"), assistant("a1"), user("q2"), assistant("a2"))


def test_chat_is_one_conversation() -> None:
    said = [
        ("system", "S"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]
    expected = [{"role": role, "content": text} for role, text in said]
    assert line_of(TALK, "chat", bare=True) == {"messages": expected}


def test_prompt_and_completion_are_apart() -> None:
    line = line_of(TALK, "prompt-completion", bare=True)
    assert [turn["content"] for turn in line["prompt"]] == ["S", "q1", "a1", "q2"]
    assert line["completion"] == [{"role": "assistant", "content": "a2"}]


def test_alpaca_has_the_last_question_and_a_history() -> None:
    assert line_of(TALK, "alpaca", bare=True) == {
        "system": "S",
        "instruction": "q2",
        "input": "",
        "output": "a2",
        "history": [["q1", "a1"]],
    }


def test_sharegpt_has_speakers_by_turns() -> None:
    spoken = [("system", "S"), ("human", "q1"), ("gpt", "a1"), ("human", "q2"), ("gpt", "a2")]
    expected = [{"from": speaker, "value": text} for speaker, text in spoken]
    assert line_of(TALK, "sharegpt", bare=True) == {"conversations": expected}


@pytest.mark.parametrize("form", ["alpaca", "sharegpt"])
def test_two_questions_in_a_row_become_one(form: Format) -> None:
    line = line_of(pair(user("q1"), user("q2"), assistant("a")), form, bare=True)
    text = line["instruction"] if form == "alpaca" else line["conversations"][0]["value"]
    assert text == "q1\n\nq2"


def test_tools_and_their_calls_are_in_every_format_that_has_them() -> None:
    acting = pair(
        user("q"), assistant("", WISH), tool("saw 1"), tool("saw 2"), assistant("a"), tools=(LOOK,)
    )
    chat = line_of(acting, "chat", bare=True)
    called = {"name": "look", "arguments": {"at": "ü"}}
    assert chat["messages"][1]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": called}
    ]
    assert chat["messages"][2] == {"role": "tool", "content": "saw 1", "tool_call_id": "c1"}
    assert chat["tools"] == [{"type": "function", "function": LOOK.model_dump()}]
    sharegpt = line_of(acting, "sharegpt", bare=True)
    assert [turn["from"] for turn in sharegpt["conversations"]] == [
        "human",
        "function_call",
        "observation",
        "gpt",
    ]
    assert json.loads(sharegpt["conversations"][1]["value"]) == called
    assert sharegpt["conversations"][2]["value"] == "saw 1\n\nsaw 2"
    assert json.loads(sharegpt["tools"]) == [LOOK.model_dump()]


@pytest.mark.parametrize(
    ("form", "turns", "what"),
    [
        ("alpaca", (user("q"), assistant("", WISH)), "tool calls"),
        ("sharegpt", (user("q"), assistant("so", WISH)), "text beside a tool call"),
        ("sharegpt", (assistant("a"), user("q"), assistant("b")), "take turns"),
        ("alpaca", (system("S"), assistant("a")), "take turns"),
        ("alpaca", (user("q"), assistant("a"), assistant("b")), "take turns"),
    ],
)
def test_what_a_format_cannot_say_is_an_error_that_names_the_step(
    form: Format, turns: tuple[Message, ...], what: str
) -> None:
    with pytest.raises(TrainingDataError, match=f"run r1, step 3: {form} cannot hold .*{what}"):
        line_of(pair(*turns), form)


def test_metadata_is_there_unless_the_line_is_to_be_bare() -> None:
    assert line_of(TALK, "alpaca")["metadata"] == ORIGIN.model_dump()
    assert "metadata" not in line_of(TALK, "alpaca", bare=True)
