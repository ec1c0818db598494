"""Takes the README's pictures of a report, in headless Chromium.

    python -m experiments.screenshot DIRECTORY SECTION ... --output=docs/report.png [--width=900]

DIRECTORY is a run that has a report. The picture shows the sections with these headings, one under
the other; if none is named, as much of the page as fits a screen. Needs the extra `dev`.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image

from vae.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def take(workdir: Path, sections: list[str], output: Path, width: int, dark: bool) -> None:
    """Writes the picture.

    Raises:
      UserError: no page there, no such section on it, or no browser.
    """
    from playwright.sync_api import sync_playwright

    path = workdir / "report.html"
    if not path.exists():
        raise UserError(f"{path} does not exist: ./launch.sh report --workdir={workdir}")
    browser_path = next(filter(None, map(shutil.which, NAMES)), None)
    if browser_path is None:
        raise UserError(f"no browser: one of {', '.join(NAMES)} has to be on the PATH")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": round(5 / 3 * width)},
            color_scheme="dark" if dark else "light",
            device_scale_factor=2,
        )
        page.goto(path.resolve().as_uri())
        parts = [] if sections else [page.screenshot()]
        for title in sections:
            found = page.locator("section", has=page.locator(f'h2:text-is("{title}")'))
            if not found.count():
                raise UserError(f"{path} has no section {title!r}")
            parts.append(found.screenshot())
        browser.close()
    images = [Image.open(io.BytesIO(part)).convert("RGB") for part in parts]
    margin = 24
    size = max(image.width for image in images) + 2 * margin
    sheet = Image.new(
        "RGB", (size, sum(image.height + margin for image in images) + margin),
        images[0].getpixel((0, 0)),
    )  # fmt: skip
    top = margin
    for image in images:
        sheet.paste(image, (margin, top))
        top += image.height + margin
    output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(output, optimize=True)


def main() -> int:
    """Takes the picture that the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("sections", nargs="*")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--width", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    try:
        take(given.directory, given.sections, given.output, given.width, given.dark)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
