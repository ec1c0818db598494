"""What is wrong with the user's data, all of it at once: problems are noted, and said together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vae.errors import UserError

MOST = 20  # that are written out


class Misfits(list[str]):
    """Problems, each one sentence that says what is wrong and what to do."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes the UserError of what is done inside, and goes on after it."""
        try:
            yield
        except UserError as error:
            self.append(str(error))

    def check(self, path: Path | str) -> None:
        """Raises one UserError with all that was noted, if anything was."""
        if len(self) == 1:
            raise UserError(self[0])
        if self:
            raise UserError(f"{path} does not fit in {len(self)} ways:\n{self.listed(path)}")

    def listed(self, path: Path | str) -> str:
        """A line each, without the path that all of them are about."""
        short = [
            problem.removeprefix(f"{path}: ").removeprefix(f"{path} ") for problem in self[:MOST]
        ]
        more = [f"... {len(self) - MOST:,} more"] * (len(self) > MOST)
        return "\n".join(f"- {line}" for line in short + more)
