"""What goes wrong past one machine."""

from agentflow.errors.base import AgentflowError


class ClusterError(AgentflowError):
    """A cluster cannot be reached, or cannot do what it is asked for."""

    def __init__(self, *, cluster: str, problem: str) -> None:
        self.cluster, self.problem = cluster, problem
        super().__init__(f"cluster {cluster}: {problem}")


class NodeRefusedError(AgentflowError):
    """No node of a cluster may be used; `node` is the first of those that were refused."""

    def __init__(self, *, node: str, problem: str, remedy: str) -> None:
        self.node, self.problem, self.remedy = node, problem, remedy
        super().__init__(f"node {node} is not used: {problem}; {remedy}")


class WorkLostError(AgentflowError):
    """A piece of work was lost with every worker that it was given to; perhaps it ends them."""

    def __init__(self, *, what: str, nodes: list[str]) -> None:
        self.what, self.nodes = what, nodes
        super().__init__(f"{what} was lost {len(nodes)} times, on {', '.join(nodes)}")
