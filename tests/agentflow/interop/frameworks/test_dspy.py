"""DSPy modules in real runs, with a real model client and a local server as the model."""

import threading
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel

from agentflow import Budget, Runner, flow, parallel
from agentflow.errors import BudgetExceededError, InputError, ModelError
from agentflow.models.protocol import ModelSpec
from tests.wire import Scripted, Seen, WireServer, fails, says

dspy: Any = pytest.importorskip("dspy", reason="the extra dspy is not installed")

from agentflow.interop.dspy import from_dspy  # noqa: E402
from agentflow.interop.frameworks.failures import FrameworkError  # noqa: E402

pytestmark = pytest.mark.anyio


def runner(server: WireServer, journal: str, **rest: Any) -> Runner:
    spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url, retries=2)
    return Runner(model=spec, journal=journal, **rest)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def gives(**fields: Any) -> Scripted:
    """Answer in the form that DSPy's chat adapter asks for."""
    parts = [f"[[ ## {field} ## ]]\n{value}\n\n" for field, value in fields.items()]
    return says(*parts, "[[ ## completed ## ]]")


class Person(BaseModel):
    name: str
    born: int


class Extract(dspy.Signature):  # type: ignore[misc]
    """Say who a text is about."""

    text: str = dspy.InputField()
    style: Literal["short", "long"] = dspy.InputField(default="short")
    person: Person = dspy.OutputField()
    sure: bool = dspy.OutputField()


ADA = '{"name": "Ada", "born": 1815}'


async def test_a_module_is_typed_by_its_signature_and_asks_our_model_layer(journal: str) -> None:
    made = from_dspy(dspy.Predict(Extract), name="extract")
    with WireServer([gives(person=ADA, sure="True")]) as server:
        result = await runner(server, journal).run_async(made, "Ada, 1815")
        assert result.output.person == Person(name="Ada", born=1815)
        assert result.output.sure is True
        assert "Ada, 1815" in server.requests[0].prompt
        assert "short" in server.requests[0].prompt
        kinds = [(step.name, step.kind) for step in result.record.steps.values()]
        assert kinds == [("extract", "flow"), ("generate", "model")]
        assert result.record.usage.output_tokens == 5
        replayed = await runner(server, journal).replay(made, result.id)
        assert replayed.output == result.output
        with pytest.raises(InputError, match="style"):
            await runner(server, journal).run_async(made, "x", style="rude")
    assert len(server.requests) == 1


async def test_a_malformed_reply_is_asked_again_by_dspy(journal: str) -> None:
    made = from_dspy(dspy.ChainOfThought("question -> answer: int"))
    answers = [says("what?"), says('{"reasoning": "6 times 7", "answer": 42}')]
    with WireServer(answers) as server:
        result = await runner(server, journal).run_async(made, "6 * 7?")
        assert (result.output.answer, str(result.output.reasoning)) == (42, "6 times 7")
        names = [step.name for step in result.record.steps.values()]
        assert names == ["ChainOfThought", "predict", "generate", "generate"]
        replayed = await runner(server, journal).replay(made, result.id)
        assert replayed.output.answer == 42


async def test_structured_output_is_asked_for_where_the_adapter_does(journal: str) -> None:
    made = from_dspy(dspy.Predict(Extract))
    answer = says('{"person": ' + ADA + ', "sure": false}')
    with WireServer([answer]) as server, dspy.context(adapter=dspy.JSONAdapter()):
        result = await runner(server, journal).run_async(made, "Ada")
        assert "json_schema" in str(server.requests[0].body)
    assert result.output.person.born == 1815


class Story(dspy.Module):  # type: ignore[misc]
    """A module of a user: it blocks, so it runs in a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = dspy.Predict("topic -> parts: list[str]")
        self.write = dspy.ChainOfThought("part -> text")
        self.seen: list[str] = []

    def forward(self, topic: str) -> Any:
        parts = self.plan(topic=topic).parts
        texts = [self.write(part=part).text for part in parts]
        if topic == "broken":
            raise ValueError("no such story")
        return dspy.Prediction(text=" ".join(texts), threads=threading.active_count() > 0)


class AsyncStory(Story):
    """The same without a thread."""

    async def aforward(self, topic: str) -> Any:
        parts = (await self.plan.acall(topic=topic)).parts
        written = await parallel(self.write.acall(part=part) for part in parts)
        return dspy.Prediction(text=" ".join(each.text for each in written), threads=True)


def author(seen: Seen) -> Scripted:
    if "topic" in seen.prompt:
        return gives(parts='["one", "two"]')
    word = "ONE" if "one" in seen.prompt.split("Respond")[0] else "TWO"
    return gives(reasoning="so", text=word)


@pytest.mark.parametrize("kind", [Story, AsyncStory])
async def test_nested_modules_are_steps_named_by_their_place(journal: str, kind: Any) -> None:
    made = from_dspy(kind())
    with WireServer(author) as server:
        result = await runner(server, journal).run_async(made, topic="tea")
        assert result.output == {"text": "ONE TWO", "threads": True}
        steps = result.record.steps
        tree = [
            (step.name, steps[step.parent].name if step.parent else None)
            for step in steps.values()
            if step.kind == "flow"
        ]
        assert sorted(map(str, tree)) == sorted(
            map(
                str,
                [
                    (kind.__name__, None),
                    ("plan", kind.__name__),
                    ("write.predict", kind.__name__),
                    ("write.predict", kind.__name__),
                ],
            )
        )
        assert len(server.requests) == 3
        replayed = await runner(server, journal).replay(made, result.id)
    assert replayed.output == result.output
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", [Story, AsyncStory])
async def test_a_resume_repeats_no_finished_model_call(journal: str, kind: Any) -> None:
    made = from_dspy(kind())

    def breaks(seen: Seen) -> Scripted:
        answer = author(seen)
        return fails(400, "not today") if "TWO" in "".join(answer.text) else answer

    with WireServer(breaks) as server, pytest.raises(ModelError, match="not today"):
        await runner(server, journal).run_as("r", made, topic="tea")
    with WireServer(author) as server:
        spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url)
        result = await Runner(model=spec, journal=journal).resume(made, "r")
        assert result.output["text"] == "ONE TWO"
        asked = ["".join(author(seen).text) for seen in server.requests]
    assert not any("parts" in text for text in asked), "the plan was made before"
    assert any("TWO" in text for text in asked)


async def test_an_exception_inside_is_the_modules_own(journal: str) -> None:
    with WireServer(author) as server, pytest.raises(ValueError, match="no such story"):
        await runner(server, journal).run_async(from_dspy(Story()), topic="broken")


async def test_the_budget_of_the_tree_holds(journal: str) -> None:
    with WireServer(author) as server:
        tight = runner(server, journal, budget=Budget(steps=4))
        with pytest.raises(BudgetExceededError, match="steps"):
            await tight.run_async(from_dspy(Story()), topic="tea")


async def test_a_branch_that_fails_stops_a_module_in_its_thread(journal: str) -> None:
    made = from_dspy(Story())

    @flow
    async def both() -> list[Any]:
        return await parallel([made(topic="tea"), broken()])

    @flow
    async def broken() -> None:
        while not server.requests:
            await anyio.sleep(0.001)
        raise ConnectionError("cut")

    with WireServer([Scripted(hold=True)]) as server, pytest.raises(ConnectionError, match="cut"):
        await runner(server, journal).run_as("r", both)
    with WireServer(author) as server:
        record = await runner(server, journal).run_as("s", made, topic="tea")
    assert record.output["text"] == "ONE TWO"


def lookup(city: str) -> str:
    """Look a city up."""
    LOOKED.append(city)
    if city == "Atlantis":
        raise KeyError(city)
    return f"{city} is large"


LOOKED: list[str] = []


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_tools_of_an_agent_are_steps(journal: str, is_async: bool) -> None:
    LOOKED.clear()
    agent = dspy.ReAct("question -> answer", tools=[lookup])
    made = from_dspy(
        agent if is_async else Wrapped(agent), signature="question -> answer", effects=["lookup"]
    )

    def act(seen: Seen) -> Scripted:
        def step(name: str, arguments: str) -> Scripted:
            return gives(next_thought="t", next_tool_name=name, next_tool_args=arguments)

        if "next_tool_name" not in seen.prompt.split("Respond with")[-1]:
            return gives(reasoning="r", answer="yes")
        if "observation_0" not in seen.prompt:
            return step("lookup", '{"city": "Atlantis"}')
        if "observation_1" not in seen.prompt:
            assert "Execution error in lookup: KeyError" in seen.prompt
            return step("lookup", '{"city": "Oslo"}')
        assert "Oslo is large" in seen.prompt
        return step("finish", "{}")

    with WireServer(act) as server:
        result = await runner(server, journal).run_async(made, "large?")
        assert result.output.answer == "yes"
        tools = [step for step in result.record.steps.values() if step.kind == "tool"]
        assert [(step.name, step.details.get("effect")) for step in tools] == [("lookup", True)] * 2
        replayed = await runner(server, journal).replay(made, result.id)
        assert replayed.output.answer == "yes"
    assert LOOKED == ["Atlantis", "Oslo"]


class Wrapped(dspy.Module):  # type: ignore[misc]
    """An agent in a module that blocks."""

    def __init__(self, agent: Any) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, question: str) -> Any:
        return self.agent(question=question)


class Fan(dspy.Module):  # type: ignore[misc]
    """DSPy's own threads, which know nothing of where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.shout = dspy.Predict("word -> loud")

    def forward(self, words: list[str]) -> list[str]:
        work = dspy.Parallel(num_threads=3, disable_progress_bar=True)
        found = work([(self.shout, dspy.Example(word=word).with_inputs("word")) for word in words])
        return [each.loud for each in found]


async def test_threads_of_dspy_are_told_apart_by_what_they_ask(journal: str) -> None:
    made = from_dspy(Fan())
    words = ["red", "green", "blue"]

    def shout(seen: Seen) -> Scripted:
        return gives(loud=next(word.upper() for word in words if word in seen.prompt))

    with WireServer(shout) as server:
        result = await runner(server, journal).run_async(made, words)
        assert result.output == ["RED", "GREEN", "BLUE"]
        again = await runner(server, journal).run_async(made, words[::-1])
        places = [
            {step.input: step.key for step in each.record.steps.values() if step.name == "shout"}
            for each in (result, again)
        ]
        assert len(places[0]) == 3
        assert places[0] == places[1], "identity does not depend on which thread came first"
        replayed = await runner(server, journal).replay(made, result.id)
    assert replayed.output == result.output


async def test_a_module_that_copies_others_keeps_their_steps(journal: str) -> None:
    def reward(_args: Any, prediction: Any) -> float:
        return float(len(prediction.answer))

    best = dspy.BestOfN(dspy.ChainOfThought("question -> answer"), 2, reward, threshold=9)
    made = from_dspy(best, signature="question -> answer")
    answers = [gives(reasoning="r", answer="no"), gives(reasoning="r", answer="yes")]
    with WireServer(answers) as server:
        result = await runner(server, journal).run_async(made, "why?")
        assert result.output.answer == "yes"
        assert {seen.body["temperature"] for seen in server.requests} == {1.0}
    names = [step.name for step in result.record.steps.values()]
    assert names == ["BestOfN", "module.predict", "generate", "module.predict", "generate"]


class Stuck(dspy.Module):  # type: ignore[misc]
    """Blocks the event loop that it needs an answer from."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict("q -> a")

    async def aforward(self, q: str) -> Any:
        return self.ask(q=q)


class Stubborn(dspy.Module):  # type: ignore[misc]
    """Brings a model along where nobody sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict("q -> a")

    def forward(self, q: str) -> Any:
        with dspy.context(lm=dspy.LM("openai/other", api_key="k")):
            return self.ask(q=q)


async def test_what_does_not_map_is_a_typed_error(journal: str) -> None:
    own = dspy.Predict("q -> a")
    own.set_lm(dspy.LM("openai/other", api_key="k"))
    with pytest.raises(FrameworkError, match=r"set_lm\(None\)"):
        from_dspy(own)
    with pytest.raises(TypeError, match="is no dspy"):
        from_dspy("q -> a")
    with WireServer([]) as server:
        with pytest.raises(FrameworkError, match="acall"):
            await runner(server, journal).run_async(from_dspy(Stuck()), "?")
        with pytest.raises(FrameworkError, match="of its own"):
            await runner(server, journal).run_async(from_dspy(Stubborn()), "?")
        sharp = from_dspy(dspy.Predict("q -> a", top_p=0.5))
        with pytest.raises(FrameworkError, match="top_p"):
            await runner(server, journal).run_async(sharp, "?")
