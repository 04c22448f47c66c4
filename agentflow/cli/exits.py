"""The exit codes of every command; documented in docs/cli.md."""

EXIT_FAILED = 1  # the run failed, or what was asked for could not be done
EXIT_USAGE = 2  # the command line or a file given is wrong; nothing ran
EXIT_CHECK_FAILED = 3  # the run gave an answer, and a check said no
EXIT_BUDGET = 4  # the budget refused the run's root
EXIT_PAUSED = 5  # the run waits for a person's answer; the journal can be resumed
EXIT_INTERRUPTED = 130  # Ctrl-C or SIGTERM; the journal can be resumed
