"""Document a repository as a tree of pages: leaf modules side by side, then their parents, the overview last.

Source: Hoang et al., CodeWiki: Evaluating AI's Ability to Generate Holistic Documentation for Large-Scale
    Codebases, arXiv:2510.24428.
Cost: tens of calls: one a page, and one for each module that is divided.
Needs: tools, a repository.
Published: CodeWikiBench 68.79 (DeepWiki 64.06); high-level languages 79.14 (68.67); managed languages 68.84
    (64.80); systems languages 53.24 (56.39).

Files are cut into components, which use one another (`shared/repository.py`). A module with more code than
fits a prompt is divided: the model proposes groups of its components, each of which is a module of its own,
treated alike. A page is written from the code of a leaf, or from the pages of a parent's parts, as soon as
those are there.

What differs, and why:
- what the model proposes is checked: unknown and repeated components are told and asked about again, those
  it forgets go to the group they have most to do with, and where no proposal is sound the folders divide;
- a repository too large to be listed is listed by files, or by folders: no prompt grows with it;
- page names are made here, numbered, of plain letters; what a model writes is text and never a path;
- a page that fails is in `failed`, and said in its parent; nothing is left out in silence;
- with the `pages` of an earlier run as an input, modules stay as they were, and only those whose code has
  changed, and their parents, are written again;
- code is read by the task's tools alone, and pages go to a disk only through one. Python is cut by `ast`
  (there by tree-sitter), a file of another language is one component.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from agentflow import Message, Result, Task, flow, note, parallel
from agentflow.errors import ContextLengthError, ExpansionError, InputError
from agentflow_planners.shared.acting import SETBACKS, tools_of
from agentflow_planners.shared.delegation import Bounds, Delegating, Place
from agentflow_planners.shared.grouping import grouped, with_rest
from agentflow_planners.shared.replies import opening
from agentflow_planners.shared.repository import Component, Reading, read_repository
from agentflow_planners.shared.spoken import spoken
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import cut

STEP, ROOT = "codewiki", "overview.md"
MAX_TITLE_CHARS, MAX_SLUG_CHARS = 80, 40
PYTHON = Reading()
FAILED = (*SETBACKS, ContextLengthError)

LEAF = (
    "Write the documentation page of a module in Markdown: what it is for, its main parts and how they "
    "work together, and what it uses of others. Keep to what the code shows; do not repeat it."
)
PARENT = (
    "Write the documentation page of a module in Markdown, from the pages of its parts: what it is for as "
    "a whole, how the parts work together, and where a reader should begin."
)

_NAME = r"\d\d-[a-z0-9-]{1,40}"
PagePath = Annotated[str, Field(pattern=rf"^(?:overview|(?:{_NAME}/)*{_NAME})\.md$")]


class Page(Frozen):
    """A page, and what it covers; without a hash it was not written, or not of all it should be."""

    title: str
    text: str
    hash: str
    components: tuple[str, ...]
    problem: str = ""


Wiki = dict[PagePath, Page]


class Module(Frozen):
    """A part of the repository, and the path of its page."""

    path: str
    title: str
    components: tuple[Component, ...]

    @property
    def below(self) -> str:
        """What the paths of the pages below begin with."""
        return "" if self.path == ROOT else f"{self.path.removesuffix('.md')}/"

    def pages_of(self, wiki: Wiki) -> Wiki:
        """Return its page and those below it."""
        return {path: page for path, page in wiki.items() if path == self.path or path.startswith(self.below)}  # fmt: skip

    @property
    def hash(self) -> str:
        """What changes with any of its code."""
        lines = "\n".join(sorted(f"{each.id} {each.hash}" for each in self.components))
        return hashlib.sha256(lines.encode()).hexdigest()[:32]


class Job(Frozen):
    """What stays the same for all modules."""

    goal: str
    bounds: Bounds
    leaf_chars: int
    listed: int
    page_tokens: int


@flow
async def codewiki(
    task: Task,
    *,
    source: Reading = PYTHON,
    depth: Count = 3,
    width: Annotated[int, Field(ge=2, le=99)] = 12,
    total: Count = 200,
    leaf_chars: Annotated[int, Field(ge=500)] = 120_000,
    listed: Annotated[int, Field(ge=2)] = 150,
    page_tokens: Count = 4_096,
    writing: str = "",
) -> Result:
    """Write the pages; the answer has them by path, and what `failed` or was left `unread`, with why.

    Args:
        task: Its input `pages` are those of an earlier answer.
        source: The folder to document, the endings of the files, and the tools that list and read.
        depth: How deep modules may nest.
        width: How many parts one may have.
        total: How many modules there may be.
        leaf_chars: Characters of code, or of parts' pages, in one prompt.
        listed: How many components, files or folders the model is shown to divide.
        page_tokens: How long a page may be.
        writing: A tool of (path, text) that each page is handed to at the end.

    Raises:
        ExpansionError: No page could be written.
        InputError: A tool is missing, there are no files or too many, or `pages` are none.
        ModelError: A call failed for good.
    """
    tools, earlier = tools_of(task), _earlier(task)
    for name in (source.listing, source.reading, *filter(None, [writing])):
        if name not in tools:
            problem = f"code is read and pages are written by tools: give the task the tool {name}"
            raise InputError(step=STEP, problem=problem)
    repository = await read_repository(source)
    bounds = Bounds(depth=depth, width=width, total=total)
    job = Job(goal=task.goal, bounds=bounds, leaf_chars=leaf_chars, listed=listed, page_tokens=page_tokens)  # fmt: skip
    root = Module(path=ROOT, title="Overview", components=repository.components)
    pages = await document.named(ROOT)(root, job, bounds.root(), earlier)
    failed = {path: page.problem for path, page in pages.items() if page.problem}
    if len(failed) == len(pages):
        raise ExpansionError(step=STEP, problem=f"no page could be written: {failed[ROOT]}")
    for path, page in pages.items() if writing else ():
        await tools[writing].call((path, page.text), {})
    written = [path for path, page in pages.items() if page != earlier.get(path)]
    note(f"{len(written)} of {len(pages)} pages written, {len(failed)} failed")
    found = {"written": written, "failed": failed, "unread": repository.unread}
    return Result(output={"pages": {path: dict(page) for path, page in pages.items()}, **found})


@flow
async def document(unit: Module, job: Job, place: Place, earlier: Wiki) -> Wiki:
    """Return the page of a module, then those of the modules below it."""
    known = earlier.get(unit.path)
    if known and known.hash == unit.hash:
        return earlier
    delegating = Delegating(unit.title, place, job.bounds, lambda _part, _whole: "")
    parts = await _parts(unit, job, delegating.room, earlier)
    places = [delegating.admit(part.title, ways=len(parts)) for part in parts]
    found = await parallel(
        document.named(part.path)(part, job, below, part.pages_of(earlier))
        for part, below in zip(parts, places, strict=True)
    )
    own = [pages[part.path] for part, pages in zip(parts, found, strict=True)]
    page = await _page(unit, parts, own, job)
    return {path: each for pages in ({unit.path: page}, *found) for path, each in pages.items()}


async def _page(unit: Module, parts: Sequence[Module], own: Sequence[Page], job: Job) -> Page:
    """Return a module's page; where it cannot be written, a page that says so."""
    ids = tuple(each.id for each in unit.components)
    try:
        text = await write.named(f"page {unit.path}")(unit.title, _prompt(unit, own, job), job.page_tokens)  # fmt: skip
    except FAILED as error:
        text = f"# {unit.title}\n\nThis page could not be written."
        return Page(title=unit.title, text=text, hash="", components=ids, problem=str(error))
    folder = unit.path.rpartition("/")[0]
    links = [f"- [{part.title}]({part.path.removeprefix(f'{folder}/')})" for part in parts]
    text = "\n".join([text, "", "## Parts", "", *links]) if parts else text
    is_whole = all(page.hash for page in own)
    return Page(title=unit.title, text=text, hash=unit.hash if is_whole else "", components=ids)


@flow
async def write(title: str, prompt: tuple[Message, ...], page_tokens: int) -> str:
    """Return the text of one page.

    Raises:
        ExpansionError: The model says nothing.
    """
    return await spoken(prompt, step=title, max_tokens=page_tokens)


async def _parts(unit: Module, job: Job, room: int, earlier: Wiki) -> list[Module]:
    """Return the modules that one is divided into; none where it fits, or may not be divided."""
    components = unit.components
    fits = sum(len(each.text) for each in components) <= job.leaf_chars
    if fits or room < 2 or len(components) < 2:
        return []
    old = [path for path in earlier if path != ROOT and path.rpartition("/")[0] == unit.below.rstrip("/")]  # fmt: skip
    home_of = {name: path for path in old for name in earlier[path].components}
    if len(old) <= room and any(each.id in home_of for each in components):
        kept = [(path, [each for each in components if home_of.get(each.id) == path]) for path in old]  # fmt: skip
        homes = [(path, earlier[path].title, found) for path, found in with_rest(kept, components)]
    else:
        told = f"{job.goal}\n\nThe module {unit.title}:"
        groups = await grouped(told, components, most=room, listed=job.listed)
        homes = [(f"{unit.below}{at:02}-{_slug(name)}.md", name, found) for at, (name, found) in enumerate(groups, 1)]  # fmt: skip
    return [
        Module(path=path, title=_title(name), components=tuple(found))
        for path, name, found in homes
    ]


def _prompt(unit: Module, parts: Sequence[Page], job: Job) -> tuple[Message, ...]:
    shown = [(page.title, page.text) for page in parts]
    shown = shown or [(each.id, each.text) for each in unit.components]
    fits = sum(len(text) for _name, text in shown) <= job.leaf_chars
    share = job.leaf_chars if fits else job.leaf_chars // len(shown)
    told = "\n\n".join(f"### {name}\n{cut(text, share)}" for name, text in shown)
    user = f"{job.goal}\n\nThe module: {unit.title}\n\n{cut(told, 2 * job.leaf_chars)}"
    return tuple(opening(PARENT if parts else LEAF, user))


def _title(name: str) -> str:
    return " ".join(re.sub(r"[^\w .,:&/+-]", " ", name).split())[:MAX_TITLE_CHARS] or "Module"


def _slug(title: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return plain[:MAX_SLUG_CHARS].strip("-") or "module"


def _earlier(task: Task) -> Wiki:
    try:
        return TypeAdapter(Wiki).validate_python(task.inputs.get("pages") or {})
    except ValidationError as error:
        problem = f"inputs.pages are no pages of an earlier answer: {error.errors()[0]['msg']}"
        raise InputError(step=STEP, problem=problem) from error
