"""Turn recorded runs into data to train a model on."""

from agentflow.training.collect import DataSet, Filters, collect
from agentflow.training.files import write

__all__ = ["DataSet", "Filters", "collect", "write"]
