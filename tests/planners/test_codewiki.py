"""CodeWiki: components of real code, modules that lose nothing, pages from the bottom up, and changes."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from agentflow_planners.codewiki import codewiki
from agentflow_planners.shared.grouping import in_items
from agentflow_planners.shared.repository import Reading, components_of
from agentflow_tools.files import list_folder, read_text

from agentflow import Runner, Task, tool
from agentflow.errors import ExpansionError, InputError, ModelRequestError, ToolError
from tests.planners.delegates import overlap
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parents[2]
TASK = Task(goal="Document it.", tools=("list_folder", "read_text"))
TOOLS = (list_folder, read_text)
SMALL = {
    "app/reading.py": '"""Reads."""\nimport os\n\n\ndef read(path):\n    """Read a file."""\n    return open(path)\n',
    "app/cutting.py": "from app.reading import read\n\n\nclass Cutter:\n    def cut(self):\n        return read('x')\n",
    "web/page.js": "export const page = 1;\n" * 30,
    "web/style.css": "ignored",
    "web/broken.py": "def (:\n" * 90,
    ".git/config.py": "secret = 1",
}
WEB = Reading(suffixes=(".py", ".js"))

SPLIT: dict[str, Any] = {"source": WEB, "leaf_chars": 500, "depth": 1}

Propose = Callable[[list[str]], list[list[int]]]


def halves(lines: list[str]) -> list[list[int]]:
    numbers = list(range(1, len(lines) + 1))
    middle = max(1, len(lines) // 2)
    return [numbers[:middle], numbers[middle:]]


class Writer(Acting):
    """Proposes groups by a function of the listed lines, and writes pages that name their module."""

    def __init__(self, propose: Propose = halves, silent: str = "(none)") -> None:
        super().__init__(self._say)
        self._propose, self._silent = propose, silent
        self.pages: list[str] = []

    def _say(self, prompt: str) -> str:
        if "Divide a part" in self.requests[-1].messages[0].text:
            asked = self.requests[-1].messages[1].text
            lines = re.findall(r"^\d+\. .*", asked, re.MULTILINE)
            groups = self._propose(lines)
            named = [{"name": f"part {at}", "members": each} for at, each in enumerate(groups)]
            return json.dumps({"groups": named})
        title = prompt.partition("The module: ")[2].partition("\n")[0]
        self.pages.append(title)
        return "" if title == self._silent else f"# {title}\n\nIt does something."


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository, which is the folder that the tools work in."""
    for path, text in SMALL.items():
        file = tmp_path / "repository" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


async def wiki(model: Writer, journal: str, task: Task = TASK, **options: Any) -> dict[str, Any]:
    """Return the answer; the run is replayed, too."""
    result = await solved(codewiki, model, task, journal=journal, tools=TOOLS, **options)
    output: dict[str, Any] = result.output.output
    return output


def leaves(pages: dict[str, Any]) -> list[str]:
    """Return the components of the pages that have none below, a name as often as it is there."""
    below = {str(PurePosixPath(path).parent) for path in pages if path != "overview.md"}
    is_leaf = {path: path.removesuffix(".md") not in below for path in pages}
    is_leaf["overview.md"] = len(pages) == 1
    return [name for path, page in pages.items() if is_leaf[path] for name in page["components"]]


def test_python_is_cut_into_definitions_that_use_one_another() -> None:
    files = {path: text for path, text in SMALL.items() if path.startswith("app/")}
    found = {each.id: each for each in components_of(files)}
    assert list(found) == [
        "app/cutting.py",
        "app/cutting.py::Cutter",
        "app/reading.py",
        "app/reading.py::read",
    ]
    assert found["app/cutting.py::Cutter"].uses == ("app/reading.py::read",)
    assert found["app/reading.py::read"].about == "function: Read a file."
    assert found["app/reading.py"].about == "module: Reads."
    other = components_of({"a/b.js": "x", "c.py": "def ("})
    assert [(each.id, each.about) for each in other] == [
        ("a/b.js", "a whole file"),
        ("c.py", "Python that does not parse"),
    ]


def test_every_line_of_real_code_is_in_exactly_one_component() -> None:
    paths = sorted((HERE / "agentflow" / "training").glob("*.py"))
    for path in paths:
        text = path.read_text()
        cut = [line for each in components_of({path.name: text}) for line in each.text.split("\n")]
        assert sorted(filter(None, cut)) == sorted(filter(None, text.split("\n"))), path


async def test_a_real_package_is_documented_whole_from_leaves_to_the_overview(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    model = Writer()
    source = Reading(folder="agentflow/training")
    output = await wiki(model, journal, source=source, leaf_chars=8_000, depth=4, listed=20)
    files = {str(path.relative_to(HERE)): path.read_text() for path in (HERE / "agentflow/training").rglob("*.py")}  # fmt: skip
    wanted = [each.id for each in components_of(files)]
    assert sorted(leaves(output["pages"])) == sorted(wanted), "each in one leaf, none lost"
    assert output["failed"] == {}
    assert model.pages[-1] == "Overview", "the overview comes last"
    assert len(output["pages"]) > 6
    assert max(len(each.messages[-1].text) for each in model.requests) < 17_000
    assert "- [part 0](01-part-0.md)" in output["pages"]["overview.md"]["text"]
    nested = next(path for path in output["pages"] if path.count("/") == 1)
    parent = output["pages"][f"{nested.partition('/')[0]}.md"]["text"]
    assert f"]({nested})" in parent, "a link leads from the folder of its page"


async def test_a_part_is_written_before_its_parent_and_beside_its_likes(
    small: Path, journal: str
) -> None:
    model = Writer()
    result = await solved(codewiki, model, TASK, journal=journal, tools=TOOLS, **SPLIT)
    assert model.pages == ["part 0", "part 1", "Overview"]
    assert overlap(journal, result.id, "01-part-0.md", "02-part-1.md")
    overview = model.requests[-1].messages[-1].text
    assert "# part 0\n\nIt does something." in overview, "a parent is written from pages,"
    assert "export const" not in overview, "not from code"


async def test_what_the_model_forgets_goes_to_what_uses_it(small: Path, journal: str) -> None:
    def forgets(lines: list[str]) -> list[list[int]]:
        at = {name: number for number, line in enumerate(lines, 1) for name in SMALL if name in line}  # fmt: skip
        cutter = next(number for number, line in enumerate(lines, 1) if "::Cutter" in line)
        return [[at["web/page.js"]], [cutter]]

    output = await wiki(Writer(forgets), journal, **SPLIT)
    pages = output["pages"]
    assert "app/reading.py::read" in pages["02-part-1.md"]["components"], "Cutter uses it"
    assert "web/broken.py" in pages["01-part-0.md"]["components"], "it is in the same folder"
    assert len(leaves(pages)) == len(set(leaves(pages))) == len(pages["overview.md"]["components"])


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([[1], [2, 99]], "there is no number 99"),
        ([[1, 2], [2]], "number 2 is there twice"),
        ([[1, 2]], "give 2 to 12 modules, not 1"),
        ([[1], []], "every module needs a name and members"),
    ],
)
async def test_an_unsound_proposal_is_refused_and_then_the_folders_divide(
    small: Path, journal: str, groups: list[list[int]], why: str
) -> None:
    model = Writer(lambda _lines: groups)
    result = await solved(codewiki, model, TASK, journal=journal, tools=TOOLS, **SPLIT)
    assert why in model.asked[1]
    assert (
        f"the folders divide: grouping: nothing sound in 3 attempts; the last: {why}"
        in notes_of(result)
    )
    pages = result.output.output["pages"]
    assert len(leaves(pages)) == len(set(leaves(pages))) == len(pages["overview.md"]["components"])


async def test_a_module_that_fails_is_reported_and_its_parent_is_still_written(
    small: Path, journal: str
) -> None:
    model = Writer(silent="part 1")
    output = await wiki(model, journal, **SPLIT)
    assert output["failed"] == {"02-part-1.md": "part 1: the model's reply is empty"}
    assert "could not be written" in output["pages"]["02-part-1.md"]["text"]
    assert "could not be written" in model.requests[-1].messages[-1].text, "the parent hears of it"
    again = Writer()
    task = TASK.model_copy(update={"inputs": {"pages": output["pages"]}})
    mended = await wiki(again, journal, task, **SPLIT)
    assert again.pages == ["part 1", "Overview"], "what failed is written, and what it is part of"
    assert mended["failed"] == {}
    with pytest.raises(ExpansionError, match="no page could be written"):
        await wiki(Writer(silent="Overview"), journal, source=WEB)


async def test_only_modules_whose_code_has_changed_are_written_again(
    small: Path, journal: str
) -> None:
    first = await wiki(Writer(), journal, **SPLIT)
    task = TASK.model_copy(update={"inputs": {"pages": first["pages"]}})
    unchanged = Writer()
    same = await wiki(unchanged, journal, task, **SPLIT)
    assert unchanged.asked == []
    assert same["pages"] == first["pages"]
    assert same["written"] == []
    (small / "app/reading.py").write_text(SMALL["app/reading.py"] + "\n\ndef more():\n    read('y')\n")  # fmt: skip
    (small / "web/page.js").unlink()
    changed = Writer()
    output = await wiki(changed, journal, task, **SPLIT)
    home = next(path for path, page in first["pages"].items() if path != "overview.md" and "app/reading.py::read" in page["components"])  # fmt: skip
    assert "app/reading.py::more" in output["pages"][home]["components"], "it goes where it is used"
    ids = [name for page in output["pages"].values() for name in page["components"]]
    assert "web/page.js" not in ids
    assert not any("Divide" in each.messages[0].text for each in changed.requests)


async def test_a_change_in_one_module_leaves_the_others_alone(
    journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(HERE / "agentflow" / "training", tmp_path / "code", ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    monkeypatch.chdir(tmp_path / "code")
    first = await wiki(Writer(), journal, leaf_chars=6_000)
    file = tmp_path / "code" / "rewards.py"
    file.write_text(file.read_text() + "\n\nLAST = 1\n")
    again = Writer()
    task = TASK.model_copy(update={"inputs": {"pages": first["pages"]}})
    second = await wiki(again, journal, task, leaf_chars=6_000)
    assert second["written"] == [path for path, page in first["pages"].items() if "rewards.py" in page["components"]]  # fmt: skip
    assert len(again.pages) == len(second["written"]) < len(first["pages"]) / 2


@pytest.mark.parametrize(
    ("most", "kind"),
    [
        (10_000, r"\.py(::\w+)?"),
        (60, r"\.py"),
        (20, r"functions(/text|/calls|/\w+\.py)"),
        (5, r".* to .*"),
    ],
)
def test_a_repository_too_large_to_list_is_listed_by_files_then_folders_then_ranges(
    most: int, kind: str
) -> None:
    folder = HERE / "planners/agentflow_planners/functions"
    files = {str(path.relative_to(HERE)): path.read_text() for path in folder.rglob("*.py")}
    components = components_of(files)
    items = in_items(components, most)
    assert 1 < len(items) <= most
    assert all(re.search(f"{kind}$", name) for name in items), list(items)
    assert sorted(each.id for found in items.values() for each in found) == sorted(
        each.id for each in components
    )


async def test_what_a_model_calls_a_module_never_leads_elsewhere(small: Path, journal: str) -> None:
    class Hostile(Writer):
        def _say(self, prompt: str) -> str:
            names = iter(["../../etc/passwd", "<script>](http://evil) con"])
            return re.sub(r"part \d", lambda _found: next(names), super()._say(prompt), count=2)

    pages = (await wiki(Hostile(), journal, **SPLIT))["pages"]
    assert list(pages) == ["overview.md", "01-etc-passwd.md", "02-script-http-evil-con.md"]
    links = re.findall(r"^- .*", pages["overview.md"]["text"], re.MULTILINE)
    assert links[1] == "- [script http://evil con](02-script-http-evil-con.md)"


async def test_pages_go_to_a_disk_only_through_a_tool_of_the_task(
    small: Path, journal: str
) -> None:
    written: dict[str, str] = {}

    @tool(effect=True)
    def put(path: str, text: str) -> None:
        """Keep a page."""
        assert path not in written, "never twice"
        written[path] = text

    task = TASK.model_copy(update={"tools": (*TASK.tools, "put")})
    result = await solved(
        codewiki, Writer(), task, journal=journal, tools=(*TOOLS, put), **SPLIT,
        writing="put",
    )  # fmt: skip
    pages = result.output.output["pages"]
    assert written == {path: page["text"] for path, page in pages.items()}


async def test_what_cannot_be_read_is_said_and_every_read_is_a_step(
    small: Path, journal: str
) -> None:
    (small / "app/large.py").write_text("x = 1\n" * 50_000)
    result = await solved(codewiki, Writer(), TASK, journal=journal, tools=TOOLS, source=WEB)
    assert list(result.output.output["unread"]) == ["app/large.py"]
    steps = [step.name for step in result.record.steps.values() if step.kind == "tool"]
    assert steps.count("read_text") == 5
    assert steps.count("list_folder") == 3, "hidden folders are left out"


async def test_a_repository_outside_of_the_tools_folder_is_refused(
    small: Path, journal: str
) -> None:
    with pytest.raises(ToolError, match="outside the working folder"):
        await wiki(Writer(), journal, source=Reading(folder=".."))


@pytest.mark.parametrize(
    ("task", "options", "why"),
    [
        (Task(goal="Document."), {}, "give the task the tool list_folder"),
        (TASK, {"writing": "put"}, "give the task the tool put"),
        (TASK, {"source": Reading(suffixes=(".cobol",))}, "has no files"),
        (TASK, {"source": Reading(files=1)}, "has 3 files"),
        (Task(goal="D", tools=TASK.tools, inputs={"pages": {"../x.md": {}}}), {}, "no pages of"),
        (Task(goal="D", tools=TASK.tools, inputs={"pages": "x"}), {}, "no pages of"),
    ],
)
async def test_what_cannot_be_documented_is_refused_before_a_call(
    small: Path, journal: str, task: Task, options: dict[str, Any], why: str
) -> None:
    model = Writer()
    with pytest.raises(InputError, match=re.escape(why)):
        await wiki(model, journal, task, **options)
    assert not model.asked


async def test_a_run_that_was_cut_off_writes_no_page_twice(small: Path, journal: str) -> None:
    class Refusing(Writer):
        def _say(self, prompt: str) -> str:
            if "The module: Overview" in prompt:
                raise ModelRequestError(model="scripted:model", problem="no")
            return super()._say(prompt)

    runner = Runner(journal=journal, model=Refusing(), tools=TOOLS)
    with pytest.raises(ModelRequestError):
        await runner.run_as("cut", codewiki, TASK, **SPLIT)
    rest = Writer()
    resumed = await Runner(journal=journal, model=rest, tools=TOOLS).resume(codewiki, "cut")
    assert rest.pages == ["Overview"]
    assert len(resumed.output.output["pages"]) == 3
