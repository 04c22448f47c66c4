"""The search frontier: the order each strategy promises, its bound, and what breaks ties."""

import pytest
from agentflow_planners.shared.frontier import Frontier, Node, Strategy
from hypothesis import given
from hypothesis import strategies as st


def walked(strategy: Strategy, scores: dict[str, float], *, most: int = 99) -> list[str]:
    """Return the order in which a frontier takes a tree: "b.a" is the first child of the second."""
    frontier: Frontier[str] = Frontier(strategy, most=most)

    def grow(above: str, node: Node[str] | None) -> None:
        depth = node.depth if node else 0
        for name, score in scores.items():
            if name.count(".") == depth and name.rpartition(".")[0] == above:
                frontier.add(name, score=score, below=node)

    grow("", None)
    order = []
    while nodes := frontier.take():
        order.append(nodes[0].value)
        grow(nodes[0].value, nodes[0])
    return order


TREE = {"a": 1.0, "b": 3.0, "a.a": 9.0, "a.b": 2.0, "b.a": 0.0, "b.b": 3.0, "a.a.a": 1.0}


def test_dfs_takes_all_below_a_node_before_its_next_sibling() -> None:
    assert walked("dfs", TREE) == ["a", "a.a", "a.a.a", "a.b", "b", "b.a", "b.b"]


def test_bfs_takes_a_level_before_the_next() -> None:
    assert walked("bfs", TREE) == ["a", "b", "a.a", "a.b", "b.a", "b.b", "a.a.a"]


def test_best_takes_the_highest_score_that_is_known() -> None:
    assert walked("best", TREE) == ["b", "b.b", "a", "a.a", "a.b", "a.a.a", "b.a"]


@pytest.mark.parametrize("strategy", ["bfs", "dfs", "best"])
def test_equal_siblings_come_in_the_order_they_were_added(strategy: Strategy) -> None:
    names = [f"{number:02}" for number in range(20)]
    assert walked(strategy, dict.fromkeys(names, 1.0)) == names


def test_no_more_nodes_are_ever_taken_in_than_the_bound_says() -> None:
    frontier: Frontier[int] = Frontier("bfs", most=3)
    frontier.extend([1, 2])
    assert [node.value for node in frontier.take(5)] == [1, 2]
    frontier.extend([3, 4, 5])
    assert (len(frontier), frontier.added, frontier.refused) == (1, 3, 2)
    assert frontier.add(6) is None


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        Frontier[int]("best", most=1).add(1, score=float("nan"))


def test_a_frontier_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        Frontier[int]("best", most=0)


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.booleans()), max_size=30))
def test_best_never_takes_a_node_while_a_better_one_waits(moves: list[tuple[float, bool]]) -> None:
    frontier: Frontier[float] = Frontier("best", most=99)
    waiting: list[float] = []
    for score, takes in moves:
        frontier.add(score, score=score)
        waiting.append(score)
        if takes:
            (node,) = frontier.take()
            assert node.value == max(waiting)
            waiting.remove(node.value)
    assert len(frontier) == len(waiting)
