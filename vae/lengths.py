"""A run that goes on for longer than it was begun for: what may change, and what depends on its
length."""

from ml_collections import ConfigDict

from vae import config as configs
from vae.errors import UserError


def goes_on(what: str, ours: ConfigDict, theirs: ConfigDict, extend: bool = False) -> str:
    """How a run of the config `theirs` goes on as `ours`: "train.epochs: 2 -> 4", or "" as it was.

    Args:
      what: holds it, for the message: "runs/mine holds a run".
      extend: go on for longer, though the result depends on the length that the run began with.

    Raises:
      UserError: another key differs, the run would be shorter, or `extend` has to decide.
    """
    before, after = theirs.train.epochs, ours.train.epochs
    lines = configs.difference(ours, theirs)
    longer = f"train.epochs: {before} -> {after}" if after > before else ""
    other = [line for line in lines if line != longer]
    if other:
        shorter = "a run can go on for longer, not be made shorter\n" if after < before else ""
        raise UserError(
            f"{what} with another config: {'; '.join(other)}\n{shorter}"
            "use another --workdir, or delete that one to start afresh"
        )
    why = longer and tied_to_length(theirs)
    if why and not extend:
        raise UserError(
            f"{what} of {before} epochs, and {why}: going on to {after} is not what {after} epochs "
            "from the start would be\n--extend goes on all the same; a new --workdir starts afresh"
        )
    return f"{longer}, where {why}" if why else longer


def tied_to_length(config: ConfigDict) -> str:
    """What makes the first epochs of a run depend on how many follow; "" where nothing does.

    Other schedules (of beta, capacity and the warm-up) have lengths of their own, in epochs.
    """
    if config.optimizer.schedule != "constant":
        return f"optimizer.schedule={config.optimizer.schedule} depends on the length"
    ends = config.train.epochs / config.train.eval_epochs
    if config.train.patience and abs(ends - round(ends)) > 1e-6:
        return "train.patience counts the validation at its end, between two others"
    return ""
