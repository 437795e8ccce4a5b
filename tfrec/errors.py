"""What tfrec raises: one sentence that names the argument, its value, what was expected and the cure."""


class TfrecError(Exception):
    """Something that the caller can cure; the command line prints its text without a traceback."""


class DataError(TfrecError):
    """A file, table, column or row that does not hold what its mapping says."""


class ConfigError(TfrecError):
    """A setting outside of what it may be."""


class MachineError(TfrecError):
    """This machine lacks what the command needs."""


class ModelError(TfrecError):
    """A model that can't be built, loaded, exported or trusted."""


class ServingError(TfrecError):
    """A model server that can't be reached, or that refused the request."""
