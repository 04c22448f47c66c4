"""`python -m agentflow`: the command line, where the script is not on the path."""

from agentflow.cli.main import main

main()
