"""The functions of one program, under names that mean one thing each.

Owns which function a name stands for, which functions need which, and the program and the prompts
made of them. A name is given once: a function of another meaning that asks for it gets a new one,
and the code that asked for it is changed. Functions may need each other in a circle.
"""

from collections.abc import Collection, Iterable

import networkx as nx

from agentflow.errors import ExpansionError
from agentflow.sandbox.names import BUILTINS
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import same_signature
from agentflow_planners.functions.text import naming
from agentflow_planners.functions.text.assembly import program
from agentflow_planners.functions.text.prompting import shown


class Library:
    """Functions by name."""

    def __init__(self) -> None:
        self._nodes: dict[str, FunctionNode] = {}
        self._keys: dict[str, str] = {}  # a meaning to the name it got
        self._callers: dict[str, list[str]] = {}  # a function to those it was added for
        self._owner: dict[str, str | None] = {}
        self._given: dict[str | None, dict[str, str]] = {}  # by caller: wanted to given names
        self._names: dict[str, frozenset[str]] = {}  # by function: the names its code leaves open

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def nodes(self) -> tuple[FunctionNode, ...]:
        """Return all functions in the order in which they came."""
        return tuple(self._nodes.values())

    def node(self, name: str) -> FunctionNode:
        """Return the function of that name.

        Raises:
            ValueError: There is none.
        """
        if name not in self._nodes:
            known = ", ".join(self._nodes) or "none"
            raise ValueError(f"no function {name!r} in the library (there are: {known})")
        return self._nodes[name]

    def add(self, node: FunctionNode, for_: str | None = None) -> str:
        """Add a function that `for_` calls by the name it has; return the name it gets.

        One with the key of another is the same function: its body is taken only where there was
        none. Two that say nothing of what they mean are the same only if their bodies are. Where the name stands for something else, the function gets a new one, and so do its
        calls in `for_` and in what was added for it.

        Raises:
            ValueError: There is no function `for_`.
            ProgramError: Its names cannot be changed.
        """
        if for_ is not None:
            self.node(for_)
        wanted, given = node.name, self._given.setdefault(for_, {})
        name, key = self._same(node, for_), node.key
        known = {old: new for old, new in given.items() if old != new and old != wanted}
        if name is None:
            name = self._added(naming.renamed_node(node, known), key, for_)
        elif node.is_written and not self._nodes[name].is_written:
            node = naming.renamed_node(node, known)
            self._store(self._settled(naming.with_body_of(self._nodes[name], node)))
        if for_ is not None:
            self._connect(for_, wanted, name)
        given.setdefault(wanted, name)
        return name

    def put(self, node: FunctionNode) -> None:
        """Replace the function of that name with another version of it.

        Raises:
            ValueError: There is no such function.
        """
        self.node(node.name)
        self._store(node)

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the functions that one calls; of an unwritten one those that it may call."""
        node = self.node(name)
        wanted = self._open(name) if node.is_written else self._open(name) | set(node.needs)
        return tuple(other for other in self._nodes if other in wanted and other != name)

    def callers(self, name: str) -> tuple[str, ...]:
        """Return all functions that lead to one, nearest first."""
        found = [name]
        for at in found:
            direct = [other for other in self._nodes if at in self.needs(other)]
            found += dict.fromkeys(
                other for other in (*direct, *self._callers.get(at, [])) if other not in found
            )
        return tuple(found[1:])

    def order(self) -> tuple[tuple[str, ...], ...]:
        """Return the functions in groups, helpers first; those of a group need each other."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self._nodes)
        graph.add_edges_from((other, name) for name in self._nodes for other in self.needs(name))
        places = {name: place for place, name in enumerate(self._nodes)}
        groups = nx.condensation(graph)
        members = {
            number: tuple(sorted(groups.nodes[number]["members"], key=places.__getitem__))
            for number in groups
        }
        ordered = nx.lexicographical_topological_sort(
            groups, key=lambda number: places[members[number][0]]
        )
        return tuple(members[number] for number in ordered)

    def ready(self, done: Collection[str] | None = None) -> tuple[str, ...]:
        """Return the functions that are not done but need only such as are, or each other.

        Args:
            done: Names; without them the written ones are done.
        """
        finished = (
            set(done)
            if done is not None
            else {name for name, node in self._nodes.items() if node.is_written}
        )
        return tuple(
            name
            for group in self.order()
            if all(set(self.needs(name)) <= finished | set(group) for name in group)
            for name in group
            if name not in finished
        )

    def assemble(self, root: str, *, also: Collection[str] = ()) -> str:
        """Return the module that holds a function and all it calls.

        Args:
            root: The function; it comes last.
            also: Functions that are kept though it does not call them.

        Raises:
            ExpansionError: It leads to a function that is not written or not there; it is named.
            ProgramError: The module is too long.
        """
        reached = self._reached([root, *also])
        missing = [name for name in reached if not self._is_written(name)]
        if missing:
            named = ", ".join(f"`{name}`" for name in missing)
            raise ExpansionError(step=root, problem=f"{named} has not been written")
        ordered = [name for group in self.order() for name in group if name in reached]
        # The root comes last, even where it is called by its own helpers.
        ordered.sort(key=lambda name: name == root)
        return program([self._nodes[name] for name in ordered])

    def context(self, name: str, budget_chars: int) -> str:
        """Return the code that a model is shown to write a function: its stub comes last.

        In this order, as far as the budget goes: what it is read in, the signatures and docstrings
        of what it calls, the code of those that lead to it, nearest first, and the signatures of
        what these call besides.

        Raises:
            ExpansionError: Not even the stub fits.
        """
        above = self.callers(name)
        own = [other for other in self.needs(name) if other not in above]
        beside = [other for caller in above for other in self._for(caller)]
        helpers = dict.fromkeys(other for other in (*own, *beside) if other not in (*above, name))
        return shown(
            self.node(name),
            helpers=self._all(helpers),
            callers=self._all(above),
            needed=len(own),
            budget_chars=budget_chars,
        )

    def _same(self, node: FunctionNode, for_: str | None) -> str | None:
        """Return the name under which the function is already here."""
        if node.key in self._keys and self._means(self._nodes[self._keys[node.key]], node):
            return self._keys[node.key]
        there = self._nodes.get(node.name)
        if there is None or for_ is None or node.doc or not same_signature(node, there):
            return None
        # What a model is shown it may repeat without the docstring.
        above = (for_, *self.callers(for_))
        known = {*above, *(other for caller in above for other in self.needs(caller))}
        return node.name if node.name in known and not node.is_written else None

    def _means(self, there: FunctionNode, node: FunctionNode) -> bool:
        """Return whether two functions of one key mean the same: undocumented ones only by their code."""
        is_told = bool(node.doc) or node.signature.lstrip().startswith("#")
        return is_told or not (there.is_written and node.is_written) or there.body == node.body

    def _added(self, node: FunctionNode, key: str, for_: str | None) -> str:
        above = [] if for_ is None else [for_, *self.callers(for_)]
        node = naming.without_known_classes(node, self._all(above))
        if node.name in self._taken(for_):
            new = naming.fresh({node.name}, naming.words((*self.nodes(), node)))
            node = naming.renamed_node(node, new)
        node = self._settled(node)
        self._owner[node.name] = for_
        self._store(node)
        self._keys.setdefault(key, node.name)
        self._keys.setdefault(node.key, node.name)
        return node.name

    def _settled(self, node: FunctionNode) -> FunctionNode:
        """Return a function whose setup says nothing that others say otherwise."""
        others = [other for other in self.nodes() if other.name != node.name]
        clashes = naming.clashing(node, others)
        new = naming.fresh(clashes, naming.words((*others, node)))
        return naming.renamed_node(node, new, with_setup=True)

    def _taken(self, for_: str | None) -> set[str]:
        bound = {name for node in self.nodes() for name in naming.setup_names(node)}
        return {*self._nodes, *bound, *(BUILTINS if for_ is not None else ())}

    def _connect(self, for_: str, wanted: str, name: str) -> None:
        """Let the caller, and what was added for it, call the function by the name it has got."""
        callers = self._callers.setdefault(name, [])
        if for_ not in callers and for_ != name:
            callers.append(for_)
        for member in self._asking(for_, wanted) if wanted != name else ():
            self._store(naming.renamed_node(self._nodes[member], {wanted: name}))
        caller = self._nodes[for_]
        if name not in caller.needs and name != for_:
            self._store(caller.model_copy(update={"needs": (*caller.needs, name)}))

    def _asking(self, for_: str, wanted: str) -> list[str]:
        """Return the functions that mean, by a name, what is being added for a caller."""
        if wanted in self._given[for_]:
            return []
        own = [
            name
            for name, owner in self._owner.items()
            if owner == for_ and wanted not in self._given.get(name, {})
        ]
        return [name for name in (for_, *own) if wanted in naming.code_names(self._nodes[name])]

    def _store(self, node: FunctionNode) -> None:
        self._nodes[node.name] = node
        self._names.pop(node.name, None)

    def _open(self, name: str) -> frozenset[str]:
        if name not in self._names:
            self._names[name] = naming.called_names(self._nodes[name])
        return self._names[name]

    def _for(self, caller: str) -> list[str]:
        added = [name for name, callers in self._callers.items() if caller in callers]
        return list(dict.fromkeys([*self.needs(caller), *added]))

    def _all(self, names: Iterable[str]) -> list[FunctionNode]:
        return [self._nodes[name] for name in names]

    def _is_written(self, name: str) -> bool:
        return name in self._nodes and self._nodes[name].is_written

    def _reached(self, roots: Iterable[str]) -> list[str]:
        found = list(dict.fromkeys(self.node(root).name for root in roots))
        for name in found:
            if not self._is_written(name):
                continue
            node = self._nodes[name]
            lost = [other for other in node.needs if other in self._open(name)]
            found += dict.fromkeys(
                other for other in (*self.needs(name), *lost) if other not in found
            )
        return found
