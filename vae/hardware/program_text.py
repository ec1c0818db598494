"""What a compiled program does, read from XLA's text of it: collectives, and bytes moved.

XLA's own analysis of cost is there for some devices only, and counts the body of every loop once.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

SIZES = {"pred": 1, "bf16": 2, "token": 0}
SHAPE = re.compile(r"\b(pred|token|bf16|[fsuc]\d+\w*)\[([\d,]*)\]")
HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
NAME = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = ")
OPERAND = re.compile(r"%([\w.\-]+)")
CALLED = re.compile(
    r"\b(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
TRIPS = re.compile(r'known_trip_count\W+n\W+(\d+)')
FREE = {  # of memory traffic
    "parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all", "iota",
    "partition-id", "replica-id", "opt-barrier", "domain",
}
COLLECTIVES = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute",
    "collective-broadcast",
)
SLICES = ("dynamic-slice", "gather", "slice")


@dataclasses.dataclass
class Instruction:
    """One line of a program."""

    name: str
    root: bool
    bytes: int  # of its result
    opcode: str
    operands: list[str]
    called: list[str]  # other computations
    trips: int | None  # of a loop whose length is known
    number: int  # of a parameter


@dataclasses.dataclass(frozen=True)
class Step:
    """What one turn of a program's outermost loop does on one device."""

    bytes: int  # that its instructions read and write
    collectives: dict[str, int]  # number a step, by name
    collective_bytes: int  # that go into them

    @property
    def count(self) -> int:
        """Collectives of all names."""
        return sum(self.collectives.values())


class Text:
    """A compiled program's text, by computation."""

    def __init__(self, text: str):
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry = ""
        current: dict[str, Instruction] = {}
        for line in text.splitlines():
            head = HEAD.match(line)
            if head and "->" in line:
                current = self.computations.setdefault(head[2], {})
                self.entry = head[2] if head[1] else self.entry
            elif found := NAME.match(line):
                one = _instruction(found, line[found.end() :])
                current[one.name] = one

    def step(self) -> Step:
        """Of the largest loop whose length is not known when compiled: the training loop's body;
        of the whole program where there is none."""
        bodies = [each.called for each in self._loops(self.entry) if each.trips is None]
        names = max(bodies, key=lambda called: sum(map(self.moved, called)), default=[self.entry])
        collectives: dict[str, int] = {}
        total = 0
        for name in names:
            for opcode, size, times in self._collectives(name):
                collectives[opcode] = collectives.get(opcode, 0) + times
                total += size * times
        return Step(sum(map(self.moved, names)), collectives, total)

    def _loops(self, name: str) -> Iterator[Instruction]:
        for each in self.computations[name].values():
            if each.opcode == "while":
                yield each
            elif each.opcode in ("call", "conditional", "async-start"):
                for inner in each.called:
                    yield from self._loops(inner)

    def _collectives(self, name: str) -> Iterator[tuple[str, int, int]]:
        """Name, bytes and number of each collective that a computation calls."""
        inside = self.computations.get(name, {})
        for each in inside.values():
            opcode = each.opcode.removesuffix("-start")
            if opcode in COLLECTIVES:
                yield opcode, sum(inside[o].bytes for o in each.operands if o in inside), 1
            for inner in each.called if opcode not in COLLECTIVES else []:
                for found, size, times in self._collectives(inner):
                    yield found, size, times * (each.trips or 1)

    def moved(self, name: str) -> int:
        """Bytes that a computation's instructions read and write: operands and results, of slices
        and gathers only what they pick."""
        inside = self.computations.get(name, {})
        return sum(self._moved(each, inside) for each in inside.values())

    def _moved(self, each: Instruction, inside: dict[str, Instruction]) -> int:
        opcode = each.opcode
        if opcode in FREE or opcode.endswith(("-done", "-update")):
            return 0
        if opcode == "while":
            return sum(map(self.moved, each.called)) * (each.trips or 1)
        if opcode == "conditional":
            return max(map(self.moved, each.called), default=0)
        if opcode == "call":
            return sum(map(self.moved, each.called))
        sizes = [inside[o].bytes if o in inside else 0 for o in each.operands]
        if opcode in SLICES:
            return 2 * each.bytes
        if opcode == "dynamic-update-slice":
            return 2 * sizes[1]
        if opcode == "fusion" and each.called:
            body = self.computations.get(each.called[0], {})
            return _fused(body, sizes, each.bytes)
        return each.bytes + sum(sizes)


def _fused(body: dict[str, Instruction], sizes: list[int], written: int) -> int:
    """Bytes of a fusion: of an operand that is only sliced, the slices; of a result that is an
    operand updated in place, the update."""
    total = 0
    for one in body.values():
        if one.opcode != "parameter" or one.number >= len(sizes):
            continue
        users = [each for each in body.values() if one.name in each.operands]
        read = sizes[one.number]
        if users and all(u.opcode in SLICES and u.operands[0] == one.name for u in users):
            read = min(read, sum(user.bytes for user in users))
        elif users and all(
            u.opcode == "dynamic-update-slice" and u.operands[0] == one.name for u in users
        ):
            read = 0
        total += read
    root = next((each for each in body.values() if each.root), None)
    if root is not None and root.opcode == "dynamic-update-slice" and root.operands[1] in body:
        written = body[root.operands[1]].bytes
    return total + written


def _instruction(found: re.Match[str], rest: str) -> Instruction:
    """From the text after `name = `."""
    kind, rest = _split(rest)
    opcode, _, rest = rest.lstrip().partition("(")
    inside, after = _balanced(rest)
    branches = BRANCHES.search(after)
    called = CALLED.findall(after) + (OPERAND.findall(branches[1]) if branches else [])
    trips = TRIPS.search(after)
    number = int(inside) if opcode == "parameter" and inside.isdecimal() else 0
    return Instruction(
        found[2], bool(found[1]), _bytes(kind), opcode.strip(), OPERAND.findall(inside), called,
        int(trips[1]) if trips else None, number,
    )  # fmt: skip


def _split(rest: str) -> tuple[str, str]:
    """A result's type, and what follows it."""
    if not rest.startswith("("):
        kind, _, after = rest.partition(" ")
        return kind, after
    inside, after = _balanced(rest[1:])
    return inside, after


def _balanced(text: str) -> tuple[str, str]:
    """What stands before the parenthesis that closes an open one, and after it."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[:place], text[place + 1 :]
    return text, ""


def _bytes(kind: str) -> int:
    return sum(
        _size(name) * math.prod(int(n) for n in sizes.split(",") if n)
        for name, sizes in SHAPE.findall(kind)
    )


def _size(name: str) -> int:
    if name in SIZES:
        return SIZES[name]
    bits = re.search(r"\d+", name)
    return max(1, int(bits[0]) // 8) if bits else 0


def read(compiled: Any) -> Step:
    """The step of a compiled program (`jax.stages.Compiled`)."""
    return Text(compiled.as_text()).step()
