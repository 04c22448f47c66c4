"""What of the framework works on this machine, as plain data; nothing here knows a terminal."""

from agentflow.doctor.examination import examine_machine
from agentflow.doctor.findings import Finding, is_well

__all__ = ["Finding", "examine_machine", "is_well"]
