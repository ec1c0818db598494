"""What MkDocs asks on the way from docs/ to the site.

Pages link to files as GitHub finds them, such as ../experiments/RESULTS.md. What is outside docs/
keeps its place in the repository as its place in the site, and links are turned accordingly. A
notebook becomes a page of its own.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
CARRIED = (
    "CONTRIBUTING.md", "CHANGELOG.md", "experiments/RESULTS.md", "experiments/results/*.png",
    "experiments/papers/*.py", "experiments/applications/*.py", "notebooks/*.ipynb",
)  # fmt: skip
PLACES = {"README.md": "index.md"}  # in the site, of what is not where it is in the repository
SHIM = "https://unpkg.com/iframe-worker/shim"  # what the theme would fetch: docs/frame_worker.js
LINK = re.compile(r'(\]\(|src=")([^)"#:\s]+)')


def on_files(files: Any, config: Any) -> Any:
    """Adds what the pages link to, and a page for each notebook."""
    for pattern in CARRIED:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
            if path.suffix == ".ipynb":
                files.append(File.generated(config, f"{name[:-6]}.md", content=page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links from places in the repository to places in the site."""
    here = page.file.src_uri
    carried = here.startswith(("experiments/", "notebooks/")) or here in CARRIED
    folder = posixpath.dirname(here if carried else f"docs/{here}")

    def turned(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[2]))
        if not (ROOT / target).exists() and not files.get_file_from_path(target):
            raise PluginError(f"{here}: there is no {target}")
        place = PLACES.get(target, target.removeprefix("docs/"))
        return found[1] + posixpath.relpath(place, posixpath.dirname(here) or ".")

    return "".join(
        part if part.startswith("```") else LINK.sub(turned, part)
        for part in re.split(r"(?ms)(^```.*?^```$)", markdown)
    )


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Has the page fetch nothing from elsewhere."""
    folder = posixpath.dirname(page.url) or "."
    return output.replace(SHIM, posixpath.relpath("frame_worker.js", folder))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same of what is no page of docs/."""
    return output_content.replace(SHIM, "frame_worker.js")


def page(path: Path) -> str:
    """A notebook as Markdown."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, *rest = parts
    more = f"[{path.name}]({path.name}) is the notebook itself."
    return "\n\n".join([title, more, *rest])
