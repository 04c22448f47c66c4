"""From a recipe to a model that answers: interrupted or not it is the same, and nothing is done twice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agentflow.errors import (
    PluginError,
    TrainingDataError,
    TrainingError,
    TrainingStoppedError,
)
from agentflow.models.protocol import Message, ModelSpec, Request
from agentflow.models.registry import open_model
from agentflow.recurrent.provider import close_engines
from agentflow.training.student.fitting import Progress
from agentflow.training.student.folder import StudentFolder
from agentflow.training.student.log import read_log
from tests.agentflow.training.parts import taught
from tests.agentflow.training.student.parts import SAID, made, pairs, small

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    pairs(tmp_path)
    return tmp_path


def stopping_at(step: int) -> tuple[Callable[[Progress], None], Callable[[], bool]]:
    """Return who hears of steps, and whether that one was reached."""
    seen = list[int]()
    return lambda progress: seen.append(progress.step), lambda: bool(seen) and seen[-1] >= step


async def test_a_trained_model_says_what_it_learnt(base: Path) -> None:
    recipe = small(training={"steps": 120, "batch_tokens": 32, "learning_rate": 0.03})
    made(recipe, base)
    model = open_model(ModelSpec(provider="recurrent", name=str(base / "model")))
    try:
        for asked, answer in SAID.items():
            request = Request(messages=(Message(role="user", text=asked),), max_tokens=8)
            assert (await model.complete(request, lambda _text: None)).text == answer
    finally:
        close_engines()


def test_a_training_stopped_twice_gives_the_same_weights(base: Path) -> None:
    straight = made(small(), base, "straight")
    for step in (4, 13):
        hear, is_stopped = stopping_at(step)
        with pytest.raises(TrainingStoppedError, match=f"stopped at step {step} of 25; the same"):
            made(small(), base, hear=hear, is_stopped=is_stopped)
    resumed = made(small(), base)
    assert resumed["digest"] == straight["digest"]
    assert resumed["tokens"] == straight["tokens"]
    assert [line.step for line in read_log(base / "model/log.jsonl")] == [4, 10, 13, 20, 25]


def test_what_was_logged_after_the_last_checkpoint_is_taken_back(base: Path) -> None:
    hear, is_stopped = stopping_at(5)
    with pytest.raises(TrainingStoppedError):
        made(small(), base, hear=hear, is_stopped=is_stopped)
    log = base / "model/log.jsonl"
    killed = json.loads(log.read_text()) | {"step": 8, "tokens": 9_999_999}
    with log.open("a") as file:
        file.write(json.dumps(killed) + "\n" + '{"step": 9, "lo')
    facts = made(small(), base)
    assert facts["tokens"] == made(small(), base, "straight")["tokens"]
    assert [line.step for line in read_log(log)] == [5, 10, 20, 25]


def test_a_finished_training_is_not_done_again(base: Path) -> None:
    first = made(small(), base)
    (base / "pairs.jsonl").unlink()
    heard = list[object]()
    assert made(small(), base, tell=heard.append, hear=heard.append) == first
    assert heard == []


def test_another_precision_is_packaged_without_training(base: Path) -> None:
    half = made(small(), base)
    heard = list[object]()
    whole = made(small(precision="fp32"), base, hear=heard.append)
    assert heard == []
    assert whole["bytes"] > 1.8 * half["bytes"]
    assert whole["loss"] == half["loss"]


def test_a_recipe_by_tokens_ends_with_the_step_that_reads_them(base: Path) -> None:
    training = {"tokens": 300, "batch_tokens": 32, "warmup_steps": 3}
    facts = made(small(training=training), base)
    lines = read_log(base / "model/log.jsonl")
    assert lines[-1].tokens == facts["tokens"]
    assert 300 <= facts["tokens"] < 300 + 32


def test_another_recipe_in_the_folder_is_refused_unless_forced(base: Path) -> None:
    first = made(small(), base)
    other = small(seed=5)
    with pytest.raises(TrainingError, match=r"of another recipe \(seed differs\); choose another"):
        made(other, base)
    (base / "model/notes.txt").write_text("mine")
    assert made(other, base, force=True)["digest"] != first["digest"]
    assert (base / "model/notes.txt").read_text() == "mine"


def test_a_model_from_elsewhere_is_not_overwritten(base: Path) -> None:
    (base / "model").mkdir()
    (base / "model/model.safetensors").write_bytes(b"precious")
    with pytest.raises(TrainingError, match="it holds a model that was not trained here"):
        made(small(), base)
    assert (base / "model/model.safetensors").read_bytes() == b"precious"


def test_two_trainings_do_not_share_a_folder(base: Path) -> None:
    with (
        StudentFolder.opened(base / "model", small()),
        pytest.raises(TrainingError, match="another training is under way in this folder"),
    ):
        made(small(), base)
    made(small(), base)


def test_a_loss_that_is_no_number_says_what_to_change(base: Path) -> None:
    training = {"steps": 9, "learning_rate": 1e30, "warmup_steps": 0}
    with pytest.raises(TrainingError, match="lower learning_rate"):
        made(small(training=training), base)


def test_weights_too_large_for_the_precision_are_refused(base: Path) -> None:
    training = {"steps": 2, "learning_rate": 1e5, "warmup_steps": 0, "batch_tokens": 32}
    with pytest.raises(TrainingError, match="does not fit into fp16; use precision: bf16 or fp32"):
        made(small(training=training), base)


def test_a_transformer_is_trained_like_any_other(base: Path) -> None:
    sizes = {"layers": 1, "d_model": 16, "heads": 2, "context": 4096}
    facts = made(small(model={"transformer": sizes}), base)
    assert json.loads((base / "model/config.json").read_text())["model_type"] == "llama"
    assert facts["steps"] == 25


def test_the_card_tells_what_was_made_and_no_place_of_the_machine(base: Path) -> None:
    facts = made(small(data={"pairs": str(base / "pairs.jsonl")}), base)
    card = json.loads((base / "model/card.json").read_text())
    page = (base / "model/README.md").read_text()
    assert card["about"] == "Knows what goes with a colour."
    assert card["data"]["groups"] == {"kind 0": 2, "kind 1": 2}
    assert card["training"] == facts
    assert f"| parameters | {facts['parameters']:,} |" in page
    assert "It was not evaluated." in page
    for file in (base / "model").iterdir():
        assert str(base).encode() not in file.read_bytes()


async def test_runs_of_a_journal_are_learnt(base: Path) -> None:
    await taught({"solve": "return 42"}, journal=str(base / "runs.db"), expected=(42,))
    training = {"steps": 1, "longest": 100_000, "batch_tokens": 100_000}
    recipe = small(data={"journal": {"path": "runs.db", "keep": 1}}, training=training)
    made(recipe, base)
    data = json.loads((base / "model/data.json").read_text())
    assert (data["conversations"], data["replies"]) == (1, 1)


SOURCE = """
from agentflow.models.protocol import Message
from agentflow.training.student import Conversation

def counted(seed, count: int = 2):
    for number in range(seed, seed + count):
        yield Conversation(messages=(
            Message(role="user", text=str(number)), Message(role="assistant", text="one more")))
"""


def test_a_function_of_a_file_is_a_source(base: Path) -> None:
    (base / "source.py").write_text(SOURCE)
    made(small(data={"traces": {"use": "source.py:counted", "count": 3}}, seed=5), base)
    assert json.loads((base / "model/data.json").read_text())["conversations"] == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"traces": {"use": "source.py:counted", "cuont": 3}}, r"cuont: .* \(its options: count\)"),
        ({"traces": {"use": "source.py:counted", "count": 0}}, "the source gives no conversations"),
        ({"traces": {"use": "source.py:other"}}, "source.py: it has no function other"),
        ({"traces": {"use": "gone.py:counted"}}, "gone.py: there is no such file of Python"),
        ({"pairs": "gone.jsonl"}, "gone.jsonl: cannot be read: No such file or directory"),
        ({"pairs": "source.py"}, "source.py:2: it is no line of `agentflow pairs`"),
    ],
)
def test_a_source_that_gives_nothing_is_refused(base: Path, data: object, said: str) -> None:
    (base / "source.py").write_text(SOURCE)
    with pytest.raises(TrainingDataError, match=said):
        made(small(data=data), base)


def test_an_unknown_source_of_traces_is_named(base: Path) -> None:
    with pytest.raises(PluginError, match="unknown trace 'nothing'"):
        made(small(data={"traces": {"use": "nothing"}}), base)
