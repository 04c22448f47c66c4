r"""The command line: `agentflow COMMAND`.

Owns the list of commands and the edge where errors become one line. A command's module is imported
when it is called, so that `agentflow --help` is quick.
"""

import gc
import sys
from importlib import import_module
from importlib.metadata import version

import click

from agentflow import plugins
from agentflow.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED
from agentflow.errors import AgentflowError

COMMANDS = {
    "run": "Run a task file.",
    "runs": "List the runs in the journal.",
    "show": "Show one run as a tree.",
    "replay": "Run a recorded run again without any model, tool or network call.",
    "resume": "Go on with a run that did not finish.",
    "fork": "Start a new run from a recorded one, changed at one step.",
    "diff": "Compare two runs step by step.",
    "answer": "Answer a question that a run asks.",
    "note": "Annotate a run or a step of it.",
    "journal": "Look after the journal: prune, export, import, verify, stats.",
    "pairs": "Write recorded runs as data to train a model on.",
    "trace": "Send one recorded run to an OpenTelemetry collector.",
    "planners": "List the planners, or tell what one is.",
    "models": "List, fetch and remove small local models.",
    "serve": "Serve a recurrent model with OpenAI's APIs; forks of a prompt share its state.",
    "schema": "Print the JSON schema of task files, for editors.",
}


class Commands(click.Group):
    """Our commands and those of installed packages, loaded when called."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return our commands in reading order, then the others."""
        return [*COMMANDS, *(name for name in plugins.installed("command") if name not in COMMANDS)]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Return the command of that name, importing its module."""
        if name in COMMANDS:
            found: click.Command = getattr(import_module(f"agentflow.cli.{name}"), name)
            return found
        if name in plugins.installed("command"):
            plugin: click.Command = plugins.load("command", name)
            return plugin
        return None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of ours."""
        with formatter.section("Commands"):
            rows = list(COMMANDS.items())
            for name in self.list_commands(context)[len(rows) :]:
                command = self.get_command(context, name)
                rows.append((name, command.get_short_help_str() if command else ""))
            formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("agentflow"), prog_name="agentflow")
def commands() -> None:
    """Break a task down recursively, run the pieces in parallel, replay every step.

    \b
    agentflow run examples/orders/task.yaml
    """


def main() -> None:
    """Run the command line; an error of the user's is one line and an exit code."""
    # A run holds very many objects and hardly any garbage: looking for it took a third of a long run's time.
    gc.set_threshold(50_000)
    try:
        commands.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AgentflowError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
