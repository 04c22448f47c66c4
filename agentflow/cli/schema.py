"""`agentflow schema`: the JSON schema of task files."""

import json

import click

from agentflow.taskfile import json_schema


@click.command()
def schema() -> None:
    """Print the JSON schema of task files, for editors.

    \b
    agentflow schema > task.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
