"""What a user writes on the command line, and what is made of it."""

import click
import pytest
from agentflow_evals.cli.wanted import (
    budget_of,
    contenders,
    entrants,
    options_of,
    split,
    surroundings,
)

from agentflow import Budget


def test_a_list_is_split_at_commas_outside_brackets() -> None:
    assert split("a, b{x: 1, y: [2, 3]},c") == ["a", "b{x: 1, y: [2, 3]}", "c"]
    assert split(" , ") == []


def test_planners_have_options_and_labels() -> None:
    plain, given, labelled = contenders(["direct,try_first{lead: 3}", "wide=recode{levels: 2}"])
    assert (plain.label, plain.planner.name, plain.planner.options) == ("direct", "direct", {})
    assert (given.label, given.planner.options) == ("try_first{lead: 3}", {"lead": 3})
    assert (labelled.label, labelled.planner.name) == ("wide", "recode")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("try_frist", "did you mean 'try_first'"),
        ("try_first{lead: none}", "lead"),
        ("try_first{lead: [}", "not YAML"),
        ("try_first{lead}", "lead"),
        ("try_first lead=3", "unknown planner|write NAME"),
        ("direct,direct", "twice"),
    ],
)
def test_a_wrong_planner_is_told_in_words(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        contenders([text])


@pytest.mark.anyio
async def test_models_may_have_labels_and_addresses() -> None:
    given = await entrants(
        ["small=http://127.0.0.1:9/v1#some-model", "http://127.0.0.1:9/v1?a=b#other"]
    )
    assert [(one.label, one.spec.name) for one in given] == [
        ("small", "some-model"),
        ("openai:other", "other"),
    ]
    with pytest.raises(click.BadParameter, match="PROVIDER:NAME"):
        await entrants(["gtp-5"])


def test_limits_are_numbers_with_names() -> None:
    assert budget_of(["usd=0.5,tokens=1_000"], "--budget", ("usd", "tokens")) == Budget(
        usd=0.5, tokens=1000
    )
    with pytest.raises(click.BadParameter, match="tokens"):
        budget_of(["tokens=0"], "--budget", ("usd", "tokens"))


def test_options_of_a_suite_are_yaml() -> None:
    assert options_of(["size=3", "names=[a, b]", "text=x=y"], None) == {
        "size": 3,
        "names": ["a", "b"],
        "text": "x=y",
    }
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        options_of(["size"], None)


def test_the_command_is_written_down_without_places_and_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = (
        "eval /home/joe/suites/own -j postgresql://joe:hunter2@db/x --journal=/home/joe/j.db "
        "--data=/home/joe/secret/x.json -m http://u:pw@10.0.0.1/v1#q --set path=../joe/y -p a,b -n 3"
    )
    monkeypatch.setattr("sys.argv", ["agentflow", *words.split()])
    command = surroundings()["command"]
    assert command == (
        "agentflow eval own --data=x.json -m 'http://10.0.0.1/v1#q' --set path=y -p a,b -n 3"
    )


@pytest.mark.anyio
async def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(click.BadParameter, match="api_key_env") as caught:
        await entrants(["http://joe:hunter2@127.0.0.1:9/v1#some-model"])
    assert "hunter2" not in str(caught.value)
