"""Errors of tfrec; each message names the argument, its value, the expectation and the cure."""


class TfrecError(Exception):
    """An error that the caller can fix; the command line prints its text without a traceback."""


class DataError(TfrecError):
    """A file, table, column or row that does not match its mapping."""


class ConfigError(TfrecError):
    """A setting with a wrong value."""


class MachineError(TfrecError):
    """A machine that lacks a requirement of the command."""


class ModelError(TfrecError):
    """A model that can't be built, loaded, exported or trusted."""


class ServingError(TfrecError):
    """A model server that can't be reached or refuses the request."""
