"""A stored-instruction machine against direct simulation, and against replies that nobody should trust."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from agentflow_planners.stored_instruction_machine import assignments, stored_instruction_machine

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError
from tests.agentflow.models.hosted_parts import APIS, KEY, KEY_ENV, spec_for
from tests.planners.scripts import Acting, in_turn, notes_of, solved
from tests.planners.turing import (
    BEAVER,
    COUNTER,
    RULE_110,
    Configuration,
    Rules,
    rule_110,
    simulated,
    turing_memory,
)
from tests.wire import Seen, WireServer, says

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "examples" / "planners" / "stored_instruction_machine.yaml"


def copied(prompt: str) -> str:
    """Follow the prompt's own rule: copy the line of the symbol. Knows no machine."""
    *_, last = prompt.splitlines()
    line = next(each for each in prompt.splitlines() if each.startswith(last) and each != last)
    return line.removeprefix(last).strip()


def given(memory: dict[str, str]) -> Task:
    return Task(goal="Run the machine.", inputs={"memory": memory})


def configurations(start: dict[str, str], trace: list[dict[str, Any]]) -> list[Configuration]:
    """Return what the memory held after each cycle: next label, head, cells with numbers for names."""
    memory, found = dict(start), []
    for cycle in trace:
        memory |= cycle["set"]
        cells = {int(name): text for name, text in memory.items() if name.lstrip("-").isdecimal()}
        found.append((memory["op"], int(memory["i"]), cells))
    return found


@pytest.mark.parametrize(
    ("rules", "tape", "state", "head", "steps"),
    [
        (BEAVER, "", "A", 0, 1_000),
        (COUNTER, "10111", "carry", 4, 1_000),
        (COUNTER, "1111", "carry", 3, 1_000),
        (RULE_110, "#1#", "P00", 1, 600),
    ],
    ids=["busy beaver", "counter", "counter that grows", "rule 110"],
)
async def test_the_tape_equals_the_direct_simulations_after_every_step(
    rules: Rules, tape: str, state: str, head: int, steps: int, journal: str
) -> None:
    memory = turing_memory(rules, tape, state=state, head=head)
    model = Acting(copied)
    result = await solved(
        stored_instruction_machine, model, given(memory), journal=journal, cycles=steps
    )
    output = result.output.output
    direct = list(simulated(rules, tape, state=state, head=head, steps=steps))
    assert configurations(memory, output["trace"]) == direct
    assert output["halted"] == (direct[-1][0] == "halt")
    assert len(model.asked) <= sum(map(len, rules.values())), "one call for each transition"


async def test_the_busy_beaver_of_four_states_makes_107_steps_and_13_ones(journal: str) -> None:
    memory = turing_memory(BEAVER, "", state="A")
    result = await solved(
        stored_instruction_machine, Acting(copied), given(memory), journal=journal
    )
    output = result.output.output
    assert len(output["trace"]) == 107
    assert sum(text == "1" for name, text in output["memory"].items() if name != "i") == 13
    assert "107 cycles with 8 different prompts" in notes_of(result)


async def test_the_machine_computes_rule_110_row_by_row(journal: str) -> None:
    memory = turing_memory(RULE_110, "#1#", state="P00", head=1)
    result = await solved(
        stored_instruction_machine, Acting(copied), given(memory), journal=journal, cycles=600
    )
    rows, row = [], "1"
    trace = result.output.output["trace"]
    for (state, _head, cells), cycle in zip(configurations(memory, trace), trace, strict=True):
        if state == "P00" and cycle["at"] == "back":
            rows.append("".join(cells[at] for at in range(1, max(cells))))
    assert len(rows) > 15
    for found in rows:
        row = rule_110(row)
        assert found == row


@pytest.mark.parametrize("api", APIS)
async def test_a_real_client_and_a_server_that_follows_the_prompts_simulate_it_too(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(seen: Seen) -> Any:
        return says(copied(seen.prompt))

    monkeypatch.setenv(KEY_ENV, KEY)
    memory = turing_memory(BEAVER, "", state="A")
    with WireServer(answer) as server:
        runner = Runner(model=spec_for(api, server, api_key_env=KEY_ENV), journal=":memory:")
        result = await runner.run_async(stored_instruction_machine, given(memory))
        assert len(server.requests) == 8, "a prompt that was answered is not asked again"
    direct = list(simulated(BEAVER, "", state="A", steps=1_000))
    assert configurations(memory, result.output.output["trace"]) == direct


async def test_a_machine_that_is_stopped_goes_on_from_the_memory_it_gave(journal: str) -> None:
    memory = turing_memory(BEAVER, "", state="A")
    model = Acting(copied)
    first = await solved(
        stored_instruction_machine, model, given(memory), journal=journal, cycles=40
    )
    half = first.output.output
    assert (half["halted"], len(half["trace"])) == (False, 40)
    second = await solved(stored_instruction_machine, model, given(half["memory"]), journal=journal)
    trace = half["trace"] + second.output.output["trace"]
    assert configurations(memory, trace) == list(simulated(BEAVER, "", state="A", steps=1_000))


async def test_a_sampling_model_cannot_make_it_answer_one_prompt_in_two_ways(journal: str) -> None:
    replies = in_turn('n += 1; op = "a"', 'op = "halt"')
    memory = {"op": "a", "a": "Count.", "n": "0"}
    model = Acting(replies)
    result = await solved(
        stored_instruction_machine, model, given(memory), journal=journal, cycles=5
    )
    assert (result.output.output["memory"]["n"], len(model.asked)) == ("5", 1)


async def test_an_instruction_that_the_machine_has_rewritten_is_the_one_it_carries_out(
    journal: str,
) -> None:
    memory = {"op": "a", "a": "Rewrite b.", "b": "old"}
    model = Acting(in_turn('b = "new @[x]"; x = "text"; op = "b"', 'op = "halt"'))
    await solved(stored_instruction_machine, model, given(memory), journal=journal)
    assert model.asked == ["Rewrite b.", "new text"]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("I would go to B.", "no assignment: 'I would go to B.'"),
        ('i += 1; op = "b" and then', "no assignment: 'and then'"),
        ('__import__("os"); op = "halt"', "no assignment"),
        ("", "no next label"),
        ("i += 1", "no next label"),
        ('%i = "1"; op = "a"', "no assignment"),
        ('op = "nowhere"', "there is no instruction 'nowhere'"),
        ('text += 1; op = "a"', "'text' holds no whole number"),
        ('%[none] = "1"; op = "a"', "nothing is stored under 'none'"),
        ('a = "@[a]@[a]"; op = "a"', "over 20000 characters|nest deeper"),
        ('a = "@[b]"; b = "@[a]"; op = "a"', "nest deeper than 8"),
        (f'x = "{"y" * 5_000}"; op = "a"', "a cell holds 4000 characters"),
        ('x = "1"; y = "1"; z = "1"; op = "a"', "memory has 6 cells"),
    ],
)
async def test_a_reply_that_a_machine_cannot_carry_out_is_a_typed_error(
    reply: str, problem: str, journal: str
) -> None:
    memory = {"op": "a", "a": "Go @[i].", "i": "0", "text": "words"}
    with pytest.raises(ExpansionError, match=problem):
        await solved(
            stored_instruction_machine, Acting(lambda _: reply), given(memory), journal=journal,
            cells=6,
        )  # fmt: skip


async def test_memory_stays_within_its_cells_whatever_the_model_writes(journal: str) -> None:
    memory = {"op": "a", "a": "Go on at @[i].", "i": "0"}
    model = Acting(lambda _: '%[i] = "1"; i += 1; op = "a"')
    with pytest.raises(ExpansionError, match="memory has 50 cells; raise `cells`"):
        await solved(stored_instruction_machine, model, given(memory), journal=journal, cells=50)
    assert len(model.asked) == 48


@pytest.mark.parametrize("memory", [None, {}, {"op": 1}, {"a": "no label"}, ["op"]], ids=str)
async def test_what_is_no_memory_is_refused(memory: Any, journal: str) -> None:
    task = Task(goal="Run.", inputs={"memory": memory})
    with pytest.raises(InputError, match=r"inputs\.memory"):
        await solved(stored_instruction_machine, Acting(copied), task, journal=journal)


async def test_a_reply_may_repeat_the_prompts_last_line(journal: str) -> None:
    memory = {"op": "a", "a": "Say it.\ncase 1:"}
    model = Acting(lambda _: ' case 1: op = "halt"\n')
    result = await solved(stored_instruction_machine, model, given(memory), journal=journal)
    assert result.output.output["halted"]


def test_assignments_are_read_in_order_with_and_without_an_address() -> None:
    found = assignments('`%[i] = "a b"; i -= 2, op = "halt"`')
    assert [(each.name, each.is_indirect, each.operator, each.value) for each in found] == [
        ("i", True, "=", "a b"),
        ("i", False, "-=", "2"),
        ("op", False, "=", "halt"),
    ]


async def test_the_example_halts_as_its_check_says(journal: str) -> None:
    example = yaml.safe_load(EXAMPLE.read_text())
    task = Task(goal=example["goal"], inputs=example["inputs"])
    result = await solved(stored_instruction_machine, Acting(copied), task, journal=journal)
    memory = result.output.output["memory"]
    assert result.output.output["halted"]
    assert "".join(memory[str(at)] for at in range(4)) == "1100"
