"""What compiles for accelerators that are not here, how it scales there, and how fast one is.

    python -m experiments.accelerators --data_dir=DATA                # every part, for each target
    python -m experiments.accelerators --scale --data_dir=DATA       # from 1 to 256 chips
    python -m experiments.accelerators --device                      # on the device at hand

The first compiles, one program a process: every config of `configs/` as a run over the target's
devices and as a population of two runs a device; every objective, prior, posterior and model on one
small network; and the functions of evaluation. What fails is a row with its reason. Two hours on 2
cores; `--minutes=30` stops after 30, and the next call goes on: what is recorded already, each row
with its revision, is not compiled again unless `--again` asks for it.
"""

import sys

from absl import flags

from experiments.accelerators import ahead, measured, scale


def main(arguments: list[str]) -> int:
    """Runs what is asked for; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_string("data_dir", "", "TFDS data directory", flag_values=values)
    flags.DEFINE_list("targets", ahead.TARGETS, "devices to compile for", flag_values=values)
    flags.DEFINE_string("workdir", "runs/accelerators", "where rows are kept", flag_values=values)
    flags.DEFINE_float("minutes", 600.0, "compile nothing more after these", flag_values=values)
    flags.DEFINE_bool("again", False, "compile what is recorded too", flag_values=values)
    flags.DEFINE_bool("scale", False, "from 1 to 256 chips", flag_values=values)
    flags.DEFINE_bool("device", False, "measure the device at hand", flag_values=values)
    try:
        values(["accelerators", *arguments])
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if values.device:
        return measured.main()
    if values.scale:
        return scale.main(values.data_dir, values.workdir)
    return ahead.main(
        values.targets, values.data_dir, values.workdir, values.minutes, values.again
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
