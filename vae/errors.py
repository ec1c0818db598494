"""The two ways a command ends badly; `vae.command` prints either as one or two lines."""


class UserError(Exception):
    """The command, config or data is wrong (exit code 2). The message says what to do."""


class RunError(Exception):
    """The command was right and the work failed (exit code 1). The message says what to do."""
