"""The planner for trained models asks in the words of the training data, and survives what a model may write."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agentflow_evals.scorers.reward import reward
from agentflow_evals.suites.worlds import GOAL
from agentflow_evals.traces.textworld_express.source import Part, textworld_express
from agentflow_evals.traces.textworld_express.teachers import TEACHERS
from agentflow_planners.students.grammars import call_of, program
from agentflow_planners.students.names import CODES, Names, Naming
from agentflow_planners.students.sight import Texts, examples_of, in_sight
from agentflow_planners.trained import Form, trained
from agentflow_tools.textworld_express import Game, TextWorldExpress
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer
from llguidance.gbnf_to_lark import gbnf_to_lark

from agentflow import (
    Environment,
    Result,
    Runner,
    RunResult,
    Task,
    action,
    flow,
)
from agentflow.episodes import episode, with_openings
from agentflow.errors import ExpansionError
from agentflow.models.protocol import OnText, Reply, Request
from agentflow.training.student import Conversation
from tests.parts import Scripted, shape
from tests.tools.games import needs

pytestmark = pytest.mark.anyio

Said = tuple[str, ...]
BYTES = LLTokenizer("byte")


def follows(grammar: str, text: str) -> bool:
    """Return whether a text is one of a grammar's."""
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(gbnf_to_lark(grammar)))
    return bool(matcher.consume_tokens(list(text.encode())) and matcher.is_accepting())


class Talking(Scripted):
    """A scripted model that answers from the whole conversation."""

    def __init__(self, answer: Callable[[Said], str]) -> None:
        super().__init__(lambda _prompt: answer(self.said))
        self.said: Said = ()

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self.said = tuple(message.text for message in request.messages)
        reply = await super().complete(request, on_text)
        assert isinstance(request.grammar, str), "a trained model is held to a grammar"
        assert follows(request.grammar, reply.text), f"it could not have written {reply.text}"
        return reply


def by_heart(conversations: Iterator[Conversation], naming: Naming) -> Talking:
    """Return a model that knows the replies of these conversations, and no others."""
    known: dict[Said, str] = {}
    for one in conversations:
        names = Names(naming)
        texts = tuple(names.hidden(message.text) for message in one.messages)
        known.update({texts[:place]: texts[place] for place in range(1, len(texts), 2)})
    return Talking(lambda said: known[said])


async def played(
    journal: str, model: Scripted, world: Any, *, goal: str = GOAL, **options: Any
) -> RunResult[dict[str, Any]]:
    """Return the run of one episode: the planner's answer, and the points."""

    @flow
    async def trial(task: Task) -> dict[str, Any]:
        async with episode():
            result: Result = await trained(await with_openings(task), **options)
            verdict = await reward(result.output, {"environment": "world", "full": 1})
        return {"answer": result.output, "points": verdict.value}

    tools = world.tools()
    task = Task(goal=goal, tools=tuple(tool.name for tool in tools))
    result = await Runner(journal=journal, model=model, tools=tools).run_async(trial, task)
    if journal != ":memory:":
        replayed = await Runner(journal=journal, tools=tools).replay(trial, result.id)
        assert shape(replayed.record) == shape(result.record)
    return result


@needs("textworld_express")
@pytest.mark.parametrize("form", ["recursive", "flat", "code"])
@pytest.mark.parametrize(
    ("game", "names"),
    [(game, "anonymized") for game in TEACHERS] + [("arithmetic", "as_told")],
)
async def test_a_planner_asks_what_the_training_data_has(
    game: Game, form: Form, names: Naming, journal: str
) -> None:
    model = by_heart(
        textworld_express(0, [[Part(play=game, episodes=1)]], form=form, names="as_told"), names
    )
    world = TextWorldExpress.named("world", game=game, seed=0)
    result = await played(journal, model, world, form=form, names=names, texts="in_sight")
    assert result.output == {"answer": "done", "points": 1.0}
    if form == "recursive" and game == "cookingworld":
        steps = [step.name for step in result.record.steps.values()]
        assert {"cook", "explore", "explore program"} <= set(steps)


class Bell(Environment):
    """It is rung twice, and then it is over."""

    def __init__(self) -> None:
        self.rung = 0

    def opening(self) -> str:
        return "a bell"

    def score(self) -> float:
        return self.rung / 2

    def is_over(self) -> bool:
        return self.rung == 2

    @action
    def ring(self, how: str) -> str:
        """Ring it, such as `ring softly`."""
        self.rung += 1
        return f"it rings {how}"


def one_after_the_other(*replies: str) -> Talking:
    left = iter(replies)
    return Talking(lambda _said: next(left))


RING = 'world_ring("softly")'
EXAMPLES = examples_of(Bell.named("world").tools())


@pytest.mark.parametrize(
    ("form", "replies"),
    [
        ("recursive", [f"{RING}\nreturn again()", f"{RING}\n{RING}\nreturn 1"]),
        ("flat", [RING, RING, RING]),
        ("code", [RING, f"{RING}\nprint(1)\n{RING}"]),
    ],
)
async def test_an_episode_that_is_over_ends_the_planner(
    form: Form, replies: list[str], journal: str
) -> None:
    result = await played(journal, one_after_the_other(*replies), Bell.named("world"), form=form)
    assert result.output == {"answer": "done", "points": 1.0}


async def test_a_program_that_fails_is_written_again_for_the_same_question() -> None:
    model = one_after_the_other(
        "return missing", "left = [1]\nreturn left + 1", f"{RING}\nreturn 7"
    )
    result = await played(":memory:", model, Bell.named("world"))
    assert result.output == {"answer": 7, "points": 0.5}
    assert len(set(model.asked)) == 1


async def test_versions_run_out() -> None:
    model = Talking(lambda _said: "return missing")
    with pytest.raises(ExpansionError, match=r"none of 2 versions worked; .*missing"):
        await played(":memory:", model, Bell.named("world"), repairs=1)


async def test_endless_nesting_ends() -> None:
    model = Talking(lambda _said: "return solve()")
    with pytest.raises(ExpansionError, match="nested 5 deep; raise `levels`"):
        await played(":memory:", model, Bell.named("world"), levels=5, repairs=0)


@pytest.mark.parametrize("form", ["flat", "code"])
async def test_a_model_that_goes_round_in_circles_is_stopped(form: Form) -> None:
    replies = {"flat": ["world_ring(1, 2)", "world_ring(2, 1)"], "code": ["print(1)", "print(2)"]}
    model = Talking(lambda said: replies[form][len(said) // 2 % 2])
    with pytest.raises(ExpansionError, match=r"round in circles: .* was replied 8 times"):
        await played(":memory:", model, Bell.named("world"), form=form)
    assert len(model.asked) == 15


@pytest.mark.parametrize("form", ["flat", "code"])
async def test_endless_turns_end(form: Form) -> None:
    model = Talking(lambda _said: "world_ring(1, 2)" if form == "flat" else "print(1)")
    with pytest.raises(ExpansionError, match="not done after 3 turns; raise `turns`"):
        await played(":memory:", model, Bell.named("world"), form=form, turns=3)


async def test_a_program_that_prints_nothing_is_told_so() -> None:
    model = one_after_the_other("x = 1", 'return "done"')
    await played(":memory:", model, Bell.named("world"), form="code")
    assert model.asked[-1] == "nothing"


SAID = "There is some oil of mint, a red bell and the box.\nClap your hands."


@pytest.mark.parametrize(
    "written",
    [
        *(
            "red bell",
            "bell",
            "oil of mint",
            "Clap your hands",
            "done",
            "",
            "ring ",
            " to red bell",
        ),
        *("ring", "ring red bell", "ring bell in box", "softly", "There is oil of mint"),
    ],
)
def test_texts_may_be_held_to_what_is_in_sight(written: str) -> None:
    for program_of_all in grammars_of("free"), grammars_of("in_sight"):
        assert follows(program_of_all, f'return "{written}"')


@pytest.mark.parametrize(
    "written",
    [
        "bells",
        "be",
        "red box",
        "bell box",
        "box.",
        "oil",
        "oil of",
        "Clap",
        "a red bell ",
        "ringing",
    ],
)
def test_texts_that_are_not_in_sight_cannot_be_written(written: str) -> None:
    assert follows(grammars_of("free"), f'return "{written}"')
    assert not follows(grammars_of("in_sight"), f'return "{written}"')
    call = call_of(["world_ring"], "done", in_sight("in_sight", [SAID], EXAMPLES))
    assert not follows(call, f'world_ring("{written}")')
    assert follows(call, 'world_ring("red bell")')


def test_without_examples_in_descriptions_there_are_phrases_only() -> None:
    grammar = program(in_sight("in_sight", [SAID], []))
    assert follows(grammar, 'return "red bell in box"')
    assert not follows(grammar, 'return "ring red bell"')


@given(
    words=st.lists(
        st.sampled_from(("of", "your", "in", "oil", "mint", "a", "-", "it's", '"', "é", ".\n"))
    )
)
def test_whatever_is_seen_gives_a_grammar(words: list[str]) -> None:
    assert follows(program(in_sight("in_sight", [" ".join(words)], [])), 'return "done"')


def grammars_of(texts: Texts) -> str:
    return program(in_sight(texts, [SAID], EXAMPLES))


def test_a_name_has_a_code_of_one_word_and_known_words_have_none() -> None:
    names = Names()
    told = names.hidden("take red bell pepper from counter")
    assert told.split()[::2] == ["take", "from"]
    assert told.split()[1] in CODES
    assert told.split()[3] == "counter"
    assert names.shown(told) == "take red bell pepper from counter"


def test_a_name_keeps_its_code_in_a_longer_conversation() -> None:
    one, other = Names(), Names()
    assert one.hidden("a leek") == other.hidden("a leek and a mango").partition(" and")[0]
    assert one.hidden_if_known("a leek or a mango") == one.hidden("a leek") + " or a mango"
    salted = {Names(salt=salt).hidden("leek") for salt in range(9)}
    assert len(salted) > 1


def test_names_beyond_the_codes_stay_as_they_are() -> None:
    told = ", ".join(f"z{'x' * count}y" for count in range(len(CODES) + 5))
    names = Names()
    hidden = names.hidden(told)
    assert hidden.endswith(", ".join(told.split(", ")[-5:]))
    assert len(set(hidden.split(", "))) == len(CODES) + 5
    assert names.shown(hidden) == told


@given(st.text())
def test_every_name_comes_back(text: str) -> None:
    names = Names()
    assert names.shown(names.hidden(text)) == text
    assert Names("as_told").hidden(text) == text
