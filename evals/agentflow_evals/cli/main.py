"""The command `agentflow eval` and its sub-commands.

Owns the list of sub-commands. What is none of them is a suite: `agentflow eval humaneval` runs one. A
sub-command's module is imported when it is called.
"""

from importlib import import_module

import click

RUN = "run"
COMMANDS = {
    RUN: ("agentflow_evals.cli.run:run", "Run a suite under planners and models (the default)."),
    "report": ("agentflow_evals.cli.report:report", "Show or write what an evaluation found."),
    "compare": ("agentflow_evals.cli.compare:compare", "Compare two evaluations, pair by pair."),
    "list": ("agentflow_evals.cli.listing:listing", "List the evaluations in the journal."),
    "suites": ("agentflow_evals.cli.suites:suites", "List the suites that are installed."),
    "check": ("agentflow_evals.cli.suites:check", "Look for leaks and doubles in a suite."),
    "predict": (
        "agentflow_evals.cli.predict:predict",
        "Predict time and cost from a recorded run.",
    ),
    "export": ("agentflow_evals.cli.exchange:export", "Write an evaluation for other tools."),
}


class Evaluations(click.Group):
    """The sub-commands, loaded when called."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the sub-commands in reading order."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Return a sub-command, importing its module."""
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name][0].partition(":")
        found: click.Command = getattr(import_module(module), function)
        return found

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read what begins with no sub-command as a suite to run, or as options of such a run."""
        is_help = args and args[0] in context.help_option_names
        if args and args[0] not in COMMANDS and not is_help:
            args = [RUN, *args]
        return super().parse_args(context, args)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of sub-commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_where, text) in COMMANDS.items()])


@click.command(
    cls=Evaluations, name="eval", context_settings={"help_option_names": ["-h", "--help"]}
)
def evaluations() -> None:
    """Run benchmarks under planners and models, and see what pays.

    \b
    agentflow eval humaneval --planner direct,try_first --model qwen2.5-coder-0.5b --limit 20
    agentflow eval --resume last
    agentflow eval report last
    """
