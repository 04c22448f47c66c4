"""A program as what a search looks for: the planner `coded_flow` runs it.

Owns where a candidate keeps its source. Knows no search.
"""

from agentflow_planners.optimising.candidates import Candidate


def program(source: str) -> Candidate:
    """Return the candidate that runs a program."""
    return Candidate(planner="coded_flow", options={"source": source})
