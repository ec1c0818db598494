"""Trials as one compiled program over this machine's devices."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

import vae
from vae import runs
from vae.data import describe
from vae.errors import RunError, UserError
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import Trained, load
from vae.reports.page import report_run
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.plan import Trial, apply, groups
from vae.training.population import Group, group_key, maskable
from vae.training.progress import Tally


def use_cores(trials: int) -> None:
    """On CPUs, one device a core for `trials` runs at once; before JAX is first used.

    Whoever has set JAX_NUM_CPU_DEVICES, or used JAX before, keeps what there is.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    cores = len(os.sched_getaffinity(0))
    try:
        jax.config.update("jax_num_cpu_devices", max(1, min(cores, trials)))
    except RuntimeError:
        return


class Populations:
    """Groups of trials as compiled programs, kept for as long as more trials may come.

    Args:
      largest: at least the largest number of latents that a later trial may have; 0: those given.
    """

    def __init__(self, directory: SweepDirectory, slots: int = 0, largest: int = 0):
        self.directory, self.slots, self.largest = directory, slots, largest
        self._groups: dict[str, Group] = {}

    def run(self, trials: Sequence[Trial], done: Callable[[Trial], None] = lambda _: None) -> None:
        """Trains groups one after the other, each as one program; evaluates and reports each trial
        as it ends.

        Args:
          done: called with each trial that has ended, well or not.

        Raises:
          UserError: a config, its data or a directory are wrong.
          RunError: a checkpoint could not be saved.
          Interrupted: by a signal; all trials have saved.
        """
        if jax.process_count() > 1:
            raise UserError(
                "a trial is trained on the devices of one process, and JAX has joined those of "
                f"{jax.process_count()}: on each host of a TPU slice set TPU_PROCESS_BOUNDS=1,1,1 "
                "and TPU_CHIPS_PER_PROCESS_BOUNDS to its own chips, such as 2,2,1"
            )
        # All are built before the first trains: what is wrong fails here, with nothing written.
        found = [(self._group(members), members) for members in groups(trials)]
        print(*dict.fromkeys(describe(group.dataset) for group, _ in found), sep="\n", flush=True)
        self.directory.write()
        progress = Tally(len(trials))
        try:
            for i, (group, members) in enumerate(found):
                if i:  # a process has room for the programs of some sixty groups, and then crashes
                    jax.clear_caches()
                self._train(group, members, progress, done=done)
        finally:
            progress.close()

    def pause_at(self, trials: Sequence[Trial], epochs: float) -> None:
        """Trains up to so many epochs, ready to go on."""
        built = [(self._group(members), members) for members in groups(trials)]
        self.directory.write()
        progress = Tally(len(trials))
        try:
            for group, members in built:
                self._train(group, members, progress, epochs)
        finally:
            progress.close()

    def finish(self, trials: Sequence[Trial]) -> None:
        """Evaluates and reports trials as far as they were trained."""
        for members in groups(trials):
            for trial in members:
                run = self._load(self._group(members), self.directory.workdir(trial))
                if run:
                    self._evaluate(run)

    def compiled(self, trial: Trial) -> Group:
        """The group whose program trains this trial."""
        return self._group([trial])

    def _group(self, members: Sequence[Trial]) -> Group:
        key = group_key(members[0].config)
        # The trials that have ended belong to it too: what is left trains in the same program.
        family = [*members, *self.directory.trials]
        configs_ = [trial.config for trial in family if group_key(trial.config) == key]
        sizes = {config.model.latent_size for config in configs_}
        known = self._groups.get(key)
        if known is None or max(sizes) > max(known.programs):
            if max(sizes) < self.largest and maskable(configs_[0]):
                configs_.append(apply(configs_[0], {"model.latent_size": self.largest}))
            known = self._groups[key] = Group(configs_)
        return known

    def _train(
        self,
        group: Group,
        members: Sequence[Trial],
        progress: Tally,
        until: float | None = None,
        done: Callable[[Trial], None] | None = None,
    ) -> None:
        """Trains; and where there is a `done`, evaluates and reports each trial as it ends: beside
        the training of the next, whose steps leave the interpreter idle."""
        by_path = {self.directory.workdir(trial): trial for trial in members}
        pairs = [(trial.config, workdir) for workdir, trial in by_path.items()]

        def complete(trial: Trial, run: Trained | None, done: Callable[[Trial], None]) -> None:
            if run:
                self._evaluate(run)
            done(trial)

        with ThreadPoolExecutor(max_workers=1) as aside:
            finishing = []

            def ended(workdir: Path) -> None:
                if done:  # loaded here: Orbax is not for two threads at once
                    run = self._load(group, workdir)
                    finishing.append(aside.submit(complete, by_path[workdir], run, done))

            try:
                self._train_pairs(group, pairs, progress, until, ended)
                for future in finishing:
                    future.result()
            finally:
                aside.shutdown(wait=True, cancel_futures=True)

    def _train_pairs(self, group, pairs, progress, until, ended) -> None:
        if not pairs[0][0].data.stream:
            group.train(pairs, self.slots, until, progress, ended)
            return
        for config, workdir in pairs:  # one at a time: batches come from disk
            try:
                vae.train(config, str(workdir))
            except RunError:
                if not runs.failure(workdir):
                    raise
            ended(workdir)

    def _load(self, group: Group, workdir: Path) -> Trained | None:
        """A trained run on what its group has compiled; None where it failed."""
        failed = runs.failure(workdir)
        return None if failed else load(workdir, None, group.compiled, group.dataset)

    def _evaluate(self, run: Trained) -> None:
        try:
            evaluate_run(run)
        except RunError as error:
            runs.write_json(run.workdir / "failure.json", {"reason": str(error).splitlines()[0]})
            return
        report_run(run, run.workdir)
