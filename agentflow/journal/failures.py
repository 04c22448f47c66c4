"""What a database raises, in words that help."""

from sqlalchemy.exc import DBAPIError

from agentflow.errors import JournalError

_HINTS = {
    "readonly": "make the file writable or choose another with --journal",
    "read-only": "make it writable or choose another with --journal",
    "unable to open": "check that the folder exists and is writable, or use --journal",
    "disk is full": "free some space; what was committed is intact",
    "No space left": "free some space; what was committed is intact",
    "disk I/O error": "check the disk; what was committed is intact",
    "locked": "another process holds it; wait, or choose another with --journal",
    "not a database": "the file is no journal; choose another with --journal",
    "malformed": "the file is damaged; `agentflow journal verify` says where, restore a copy",
    "Permission denied": "make the folder writable or choose another with --journal",
    "Connection refused": "start the database server, or choose another with --journal",
    "password authentication": "check user and password of the URL",
    "terminating connection": "the database server went away; what was committed is intact",
    "server closed the connection": "the database server went away; what was committed is intact",
}


def journal_error(store: str, error: Exception) -> JournalError:
    """Return the typed error for what a database or the file system raised."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = str(cause).strip().splitlines()
    text = said[0] if said else type(cause).__name__
    hint = next((advice for sign, advice in _HINTS.items() if sign in str(cause)), None)
    return JournalError(store=store, problem=f"{text}: {hint}" if hint else text)
