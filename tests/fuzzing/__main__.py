"""Runs many random cases and counts how they end.

    python -m tests.fuzzing --configs=1000 --seed=0 --output=F.json [--shard=0/2]
    python -m tests.fuzzing --seed=0 --only=17 [--keep=DIR]

The first writes a line a case to F.jsonl as it goes, passes over those that are there (of the same
seed and revision), and sums up what is there in F.json; shards may run beside each other and share
both files. The second runs one case again, shows its commands and how it ended, and keeps its
files. Exit code 1 where a case failed.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from absl import flags

from experiments import result_files

CHUNK = 40  # cases a process: what leaks is given back
PATIENCE = 600  # seconds that a case may take
CHOICES = ("data.kind", "model.name", "model.likelihood", "model.posterior", "model.prior",
           "objective.name")  # fmt: skip
QUICK = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_ENABLE_COMPILATION_CACHE": "0",  # no case compiles what another did
    "MPLBACKEND": "Agg",
}
if version("jax").startswith("0.10."):  # it halves the time to compile; newer ones do not know it
    QUICK["XLA_FLAGS"] = "--xla_cpu_use_fusion_emitters=false"


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_integer("configs", 300, "cases", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the cases", flag_values=values)
    flags.DEFINE_string("output", "fuzzing.json", "what is written", flag_values=values)
    flags.DEFINE_string("shard", "0/1", "I/N: every Nth case, from I on", flag_values=values)
    flags.DEFINE_list("only", [], "numbers of cases to run here", flag_values=values)
    flags.DEFINE_string("records", "", "append the ends of those to a file", flag_values=values)
    flags.DEFINE_string("revision", "", "and say that they are of it", flag_values=values)
    flags.DEFINE_string("keep", "", "keep the files of those here", flag_values=values)
    values(["fuzzing", *arguments])
    os.environ.update(QUICK)  # before JAX is imported
    if values.only:
        return _run_here(values)
    output = Path(values.output)
    records = output.with_suffix(".jsonl")
    part, parts = map(int, values.shard.split("/"))
    known = {"seed": values.seed, "revision": revision()}
    while True:
        done = {record["number"] for record in _read(records, known)}
        left = [n for n in range(part, values.configs, parts) if n not in done]
        if not left:
            break
        _work(left[:CHUNK], known, records)
    return summarise(_read(records, known), values, output)


def revision() -> str:
    from vae import runs

    return runs.git_revision()


def _work(numbers: list[int], known: dict[str, Any], records: Path) -> None:
    """Runs cases in another process; one that ends it, or never ends, has failed."""
    command = [
        sys.executable, "-m", "tests.fuzzing", f"--only={','.join(map(str, numbers))}",
        f"--records={records}", *(f"--{name}={value}" for name, value in known.items()),
    ]  # fmt: skip
    log = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would fill and stop it
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def finished() -> set[int]:
        return {record["number"] for record in _read(records, known)} & set(numbers)

    before, since, hung = finished(), time.monotonic(), False
    while process.poll() is None:
        time.sleep(1.0)
        now = finished()
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            process.kill()
            hung = True
            process.wait()
    log.seek(0)
    err = log.read()
    left = [number for number in numbers if number not in finished()]
    if left:
        message = f"no end in {PATIENCE} s" if hung else f"the process ended: {err[-2000:]}"
        found = {"outcome": "failed", "verb": "?", "message": message}
        _append(records, known, left[0], found | {"seconds": 0.0, "warnings": [], "chosen": {}})


def _run_here(values: flags.FlagValues) -> int:
    from tests.fuzzing import run
    from tests.fuzzing.draw import draw

    ends = []
    for place, number in enumerate(map(int, values.only)):
        case = draw(values.seed, number)
        with tempfile.TemporaryDirectory() as folder:
            if values.keep:
                folder = values.keep
                Path(folder).mkdir(parents=True)
            found = run.run(case, Path(folder))
            ends.append(found["outcome"])
            if values.records:
                chosen = {key: case.settings[key] for key in CHOICES if key in case.settings}
                known = {"seed": values.seed, "revision": values.revision or revision()}
                _append(Path(values.records), known, number, found | {"chosen": chosen})
            else:
                path = Path(folder) / case.source.form if case.source.form else None
                print(shlex.join(["python", "-m", "vae", "train", *case.flags(path)]))
                for verb in ("evaluate", "sample", "report"):
                    print(shlex.join(["python", "-m", "vae", verb, *getattr(case, verb)]))
                print(json.dumps(found, indent=2).replace("\\n", "\n"))
        if place % 5 == 4:
            run.drop_programs()
    return int("failed" in ends)


def _append(records: Path, known: dict[str, Any], number: int, found: dict[str, Any]) -> None:
    line = {**known, "number": number, **found}
    with records.open("a") as file:
        file.write(json.dumps(line) + "\n")  # one write: lines of two shards do not mix


def _read(records: Path, known: dict[str, Any]) -> list[dict[str, Any]]:
    lines = records.read_text().splitlines() if records.exists() else []
    found = [json.loads(line) for line in lines]
    return [r for r in found if all(r[key] == value for key, value in known.items())]


def summarise(records: list[dict[str, Any]], values: flags.FlagValues, output: Path) -> int:
    """Writes the counts and every failure; prints them."""
    from vae import runs

    outcomes = Counter(record["outcome"] for record in records)
    seconds = sorted(record["seconds"] for record in records)
    trained = [record["chosen"] for record in records if record["outcome"] == "trained"]
    failures = [
        {
            "command": f"python -m tests.fuzzing --seed={values.seed} --only={record['number']}",
            "verb": record["verb"],
            "message": record["message"],
        }
        for record in sorted(records, key=lambda record: record["number"])
        if record["outcome"] == "failed"
    ]
    result = {
        "command": f"python -m tests.fuzzing --configs={values.configs} --seed={values.seed}",
        **{k: v for k, v in runs.environment().items() if k != "command"},
        "seed": values.seed,
        "configs": len(records),
        "counts": {k: outcomes[k] for k in ("trained", "refused", "stopped", "failed")},
        "cpu_seconds": {
            "all": round(sum(seconds), 1),
            "mean": round(sum(seconds) / len(seconds), 2),
            "most": seconds[-1],
        },
        "trained_with": {
            key: dict(sorted(Counter(of.get(key, "") for of in trained).items())) for key in CHOICES
        },
        "stopped": sorted({placeless(r["message"]) for r in records if r["outcome"] == "stopped"}),
        "failures": failures,
    }
    runs.write_atomic(output, result_files.text(result))
    for failure in failures:
        print(f"{failure['command']}  # {failure['verb']}\n{failure['message']}\n")
    print(", ".join(f"{count} {name}" for name, count in result["counts"].items()))
    print(f"{result['cpu_seconds']['mean']} CPU seconds a case; {output}")
    return int(bool(failures))


def placeless(message: str) -> str:
    """A message without the temporary folder that its run was in."""
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/\w+/", "", message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
