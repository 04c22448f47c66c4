"""Choose the code that is shown to a model that writes a function.

Owns what comes first where not all fits. The text is Python, and never longer than allowed.
"""

from collections.abc import Sequence

from agentflow.errors import ExpansionError
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.text.assembly import setup_texts

_GAP = "\n\n"
SHORT_CHARS = 600


def shown(
    node: FunctionNode,
    *,
    helpers: Sequence[FunctionNode],
    callers: Sequence[FunctionNode],
    needed: int,
    budget_chars: int,
) -> str:
    """Return imports, definitions, callers with the nearest last, helpers, and the stub.

    Args:
        node: The function to write.
        helpers: What may be called, the `needed` ones first: those shown whole if they are short, the
            others without their bodies.
        callers: What leads to the function, nearest first: shown whole where that fits.
        needed: How many helpers come before any caller.
        budget_chars: The most characters of the text.

    Raises:
        ExpansionError: Not even the stub fits.
    """
    page = _Page(budget_chars - len(node.stub()))
    if page.left < 0:
        raise ExpansionError(
            step=node.name,
            problem=f"its signature and docstring alone have {len(node.stub())} characters; "
            f"{budget_chars} are allowed",
        )
    page.add_setup(node)
    for helper in helpers[:needed]:
        if not page.add(page.helpers, _brief(helper)):
            page.add(page.helpers, helper.stub())
    for caller in callers:
        whole = caller.source() if caller.is_written else caller.stub()
        if not page.add(page.callers, whole):
            page.add(page.callers, caller.stub())
    for helper in helpers[needed:]:
        page.add(page.helpers, helper.stub())
    for caller in callers:
        page.add_setup(caller)
    return page.text(node.stub())


def _brief(helper: FunctionNode) -> str:
    """Return a short helper whole: what it does may be what the function has to undo."""
    is_short = helper.is_written and len(helper.source()) <= SHORT_CHARS
    return helper.source() if is_short else helper.stub()


class _Page:
    """The parts chosen so far, and the characters left."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.imports, self.setup = list[str](), list[str]()
        self.helpers, self.callers = list[str](), list[str]()

    def add(self, where: list[str], text: str) -> bool:
        """Take a part if it fits and is not there; return whether it is there now."""
        if text in where:
            return True
        if len(text) + len(_GAP) > self.left:
            return False
        where.append(text)
        self.left -= len(text) + len(_GAP)
        return True

    def add_setup(self, node: FunctionNode) -> None:
        """Take what a function is read in, statement by statement."""
        for is_import, text in setup_texts(node):
            self.add(self.imports if is_import else self.setup, text)

    def text(self, last: str) -> str:
        """Return the parts as a module: what siblings share comes before what each may call."""
        imports = ["\n".join(self.imports)] if self.imports else []
        return _GAP.join([*imports, *self.setup, *reversed(self.callers), *self.helpers, last])
