"""A model that comes along is asked for by its name, wherever a model is named."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import torch
from click.testing import CliRunner

from agentflow.cli.models import models
from agentflow.errors import UnknownModelError, WeightsError
from agentflow.models.protocol import Message, ModelSpec, Request
from agentflow.models.registry import open_model, parse_spec
from agentflow.recurrent import packaged_models, provider
from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.folder import save
from agentflow.recurrent.mixers.model import MixerLM
from agentflow.recurrent.packaged_models import find_packaged, folder_of, packaged
from tests import warm
from tests.agentflow.recurrent.folders import VOCABULARY, small_tokenizer

pytestmark = pytest.mark.anyio

SERVE = (
    "import sys; from pathlib import Path; from agentflow.cli.main import main; "
    "from agentflow.recurrent import packaged_models; packaged_models.ROOT = Path({root!r}); "
    "sys.argv = ['agentflow', 'serve', 'tiny', '--port', '0']; main()"
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packaged models, with one in it."""
    root = tmp_path_factory.mktemp("packaged")
    torch.manual_seed(0)
    sizes = MixerConfig(vocabulary_size=VOCABULARY, d_model=16, layers=("gru",), heads=2)
    save(MixerLM(sizes), small_tokenizer(root / "tiny"))
    (root / "tiny" / "card.json").write_text(json.dumps({"about": "Says nothing.", "steps": 0}))
    (root / "notes").mkdir()
    return root


@pytest.fixture
def installed(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(packaged_models, "ROOT", shelf)
    yield shelf
    provider.close_engines()


def test_a_folder_with_a_configuration_is_a_model_and_tells_itself(shelf: Path) -> None:
    (model,) = packaged(shelf)
    assert (model.name, model.about) == ("tiny", "Says nothing.")
    assert model.size_bytes > (shelf / "tiny" / "model.safetensors").stat().st_size > 0
    assert find_packaged("tiny", shelf) == model
    assert packaged(shelf / "absent") == ()


@pytest.mark.parametrize("name", ["", ".", "..", "./tiny", "../tiny", "tiny/", "Tiny", "notes"])
def test_a_path_is_no_name(shelf: Path, name: str) -> None:
    assert find_packaged(name, shelf) is None


def test_what_comes_along_has_all_that_is_needed_and_told() -> None:
    for model in packaged():
        files = {file.name for file in model.folder.iterdir()}
        assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= files
        assert re.fullmatch(r".+", model.about)
        assert find_packaged(model.name) == model


async def test_a_name_alone_or_with_its_provider_answers(installed: Path) -> None:
    spec = parse_spec("tiny")
    assert spec == parse_spec("recurrent:tiny") == ModelSpec(provider="recurrent", name="tiny")
    asked = Request(messages=(Message(role="user", text="Hello"),), max_tokens=3)
    reply = await open_model(spec).complete(asked, lambda _text: None)
    assert reply.usage.output_tokens == 3
    assert set(provider._engines) == {str(installed / "tiny")}


async def test_a_folder_of_that_name_is_meant_only_by_its_path(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert folder_of("tiny") == str(installed / "tiny")
    assert folder_of("./tiny") == "./tiny"
    asked = Request(messages=(Message(role="user", text="Hello"),))
    with pytest.raises(WeightsError, match=r"no config\.json"):
        await open_model(parse_spec("recurrent:./tiny")).complete(asked, lambda _text: None)


def test_a_mistaken_name_has_those_that_come_along_listed(installed: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"did you mean 'tiny'.*that come along: tiny"):
        parse_spec("tinny")
    with pytest.raises(WeightsError, match="no folder tinny; models that come along: tiny"):
        open_model(parse_spec("recurrent:tinny"))


def test_the_list_of_models_has_it_and_nothing_needs_fetching(installed: Path) -> None:
    command = CliRunner()
    listed = command.invoke(models, ["list"], env={"COLUMNS": "120"}).output.splitlines()
    assert re.match(r"tiny +0\.\d MB +yes +Apache-2\.0 +Says nothing\.", listed[1])
    assert command.invoke(models, ["pull", "tiny"]).stderr.startswith("tiny comes along")
    assert "goes with the package" in command.invoke(models, ["rm", "tiny"]).stderr


@pytest.mark.slow
def test_it_is_served_by_its_name(shelf: Path) -> None:
    words = ["-c", SERVE.format(root=str(shelf))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with warm.Process(words, env=environment, kind="libraries") as process:
        url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            told = client.completions.create(model="tiny", prompt="a", max_tokens=2)
        assert told.usage is not None
        assert told.usage.completion_tokens == 2
        process.send_signal(signal.SIGTERM)
        _out, errors = process.communicate(timeout=60)
    assert f"model: {url}#tiny" in errors


def test_a_name_is_understood_without_loading_torch(shelf: Path) -> None:
    code = (
        f"import sys; from pathlib import Path; from agentflow.recurrent import packaged_models; "
        f"packaged_models.ROOT = Path({str(shelf)!r}); "
        "from agentflow.models.registry import parse_spec; "
        "print(parse_spec('tiny'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "recurrent:tiny False\n"
