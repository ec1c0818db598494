"""Pages in a real browser: nothing fails, nothing is fetched, and what can be moved moves."""

import json
import shutil

import numpy as np
import pytest
from matplotlib.image import imread

import vae
from tests.reports.fake import write_run
from vae.reports import figures
from vae.reports.compare import compare
from vae.reports.page import report, report_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def view(browser):
    """Opens a page and looks at it closely; what went wrong with it is `page.wrong`."""
    opened = []

    def open_page(path, width=1400, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.append(page)
        page.wrong = []
        page.on("console", lambda said: page.wrong.append(said.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        here = path.as_uri()
        page.on(
            "request",
            lambda asked: asked.url == here
            or asked.url.startswith("data:")
            or page.wrong.append(asked.url[:100]),
        )
        page.goto(here)
        return page

    yield open_page
    for page in opened:
        page.close()


@pytest.fixture(scope="module")
def two_latents(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pages") / "two"
    return report_run(write_run(workdir, latent_size=2, labels=np.arange(40) % 3), workdir)


def wide_parts(page):
    """Whatever sticks out of the page at the right, but for tables that scroll by themselves."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((part) =>
          !part.closest(".scroll, .window, svg") &&
          part.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
          .map((part) => part.outerHTML.slice(0, 80))"""
    )


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_and_loads_without_a_fault(view, two_latents, width, scheme):
    page = view(two_latents, width, scheme)
    assert page.wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wide_parts(page) == []
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("p, figcaption, td, dt, dd, output")]
          .map((part) => parseFloat(getComputedStyle(part).fontSize))"""
    )
    assert min(sizes) >= 12  # pixels
    background, ink = page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor, "
        "getComputedStyle(document.body).color]"
    )
    brightness = [sum(map(int, text[4:-1].split(","))) for text in (background, ink)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")


def test_a_chart_is_legible_on_a_phone_and_whole_on_a_screen(view, two_latents):
    """The width at which the smallest letters of a chart are drawn, in pixels."""
    for width, least in ((390, 9.9), (1400, 9.0)):
        page = view(two_latents, width)
        letters = page.evaluate(
            """() => [...document.querySelectorAll(".scroll > img")].map((image) =>
              image.getBoundingClientRect().width / image.naturalWidth)"""
        )
        assert len(letters) >= 4 and min(letters) * figures.LEAST / 72 * figures.DPI >= least
    scrolled = page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].map((part) =>
          part.scrollWidth - part.clientWidth)"""
    )
    assert max(scrolled) <= 1


def test_a_table_that_fits_is_whole_and_has_no_line_at_its_edges(view, two_latents, tmp_path):
    """The shadows that stand for more behind an edge are covered to the last pixel."""
    page = view(two_latents, 390)
    tables = page.locator(".scroll:visible:has(table)")
    for number in range(tables.count()):
        table = tables.nth(number)
        assert table.evaluate("part => part.scrollWidth - part.clientWidth") <= 0
        table.screenshot(path=tmp_path / "shown.png")
        pixels = imread(tmp_path / "shown.png")[..., :3]
        paper = pixels[2:6, 2:6].mean((0, 1))  # above the first line of letters
        for edge in (pixels[2:6, :2], pixels[2:6, -2:]):
            np.testing.assert_allclose(edge, np.broadcast_to(paper, edge.shape), atol=1 / 255)


def test_heads_of_long_names_are_no_towers(view, make_run, tmp_path):
    runs = [make_run(name=name) for name in ("first", "second")]
    page = view(compare(runs, tmp_path / "both"), 390)
    heights = page.evaluate(
        """() => [...document.querySelectorAll("thead tr")]
          .map((part) => part.getBoundingClientRect().height)"""
    )
    assert max(heights) < 5 * 20  # four lines


def test_a_command_breaks_between_its_words(view, make_run):
    workdir = make_run()
    command = "vae sweep " + " ".join(f"--config.train.epochs={n}" for n in range(8)) + " '--a b'"
    (workdir / "environment.json").write_text(json.dumps({"command": command}))
    page = view(report(workdir), 390)
    assert page.locator(".command").text_content() == command
    heights = page.locator(".command span").evaluate_all(
        "words => words.map((word) => word.getBoundingClientRect().height)"
    )
    assert len(heights) == 12 and max(heights) < 30  # of one line
    assert page.wrong == []


@pytest.mark.parametrize(("heads", "values"), [("Value", [1, 1, 0]), ("Metric", [1, 0, 1])])
def test_a_click_on_a_head_sorts_the_table(view, two_latents, heads, values):
    """By number ("−91.23 ± 0.31" is below "88.50 ± 0.30"), or by text; a second click turns it."""
    page = view(two_latents)
    table = page.locator("table.data", has_text=heads).first
    names = table.locator("tbody tr td:first-child")
    assert [name.startswith("ELBO") for name in names.all_text_contents()] == [True, False]
    for value in values[1:]:
        table.get_by_role("button", name=heads).click()
        assert names.first.text_content().startswith("ELBO") == bool(value)
        assert table.locator("th[aria-sort]").text_content() == heads
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert page.wrong == []


def test_the_list_of_contents_leads_to_every_section(view, two_latents):
    page = view(two_latents)
    links = page.locator("nav a")
    assert links.all_text_contents() == page.locator("h2").all_text_contents()
    for place in links.evaluate_all("links => links.map((link) => link.getAttribute('href'))"):
        assert page.locator(f"h2{place}").count() == 1


def test_on_a_dark_page_nothing_is_white_but_bright_pixels(view, make_run):
    """Of black pictures: neither the ground behind them nor the gaps between them are white."""
    workdir = make_run()
    run = vae.load(workdir)
    run.x, run.weights = np.zeros_like(run.x), np.zeros_like(run.weights)
    run.decode = lambda z, context=None: np.zeros((len(z), *run.shape))
    page = view(report(workdir), scheme="dark")
    for part in (".picture", ".player.wide .window", ".player .window"):
        page.locator(part).first.screenshot(path=workdir / "shown.png")
        assert imread(workdir / "shown.png")[..., :3].max() < 0.6  # the labels' grey


def picture(page, part):
    return page.locator(part).screenshot()


def test_a_slider_changes_the_picture_and_says_where_it_is(view, two_latents):
    page = view(two_latents)
    player = ".player >> nth=0"
    slider, before = page.locator(f"{player} >> input"), picture(page, f"{player} >> .window")
    slider.fill("0")
    assert page.locator(f"{player} >> output").text_content() == "−3.0"
    lowest = picture(page, f"{player} >> .window")
    slider.fill("20")
    assert page.locator(f"{player} >> output").text_content() == "3.0"
    assert len({before, lowest, picture(page, f"{player} >> .window")}) == 3
    slider.focus()
    slider.press("ArrowLeft")
    assert page.locator(f"{player} >> output").text_content() == "2.7"


def test_temperature_changes_the_samples(view, two_latents):
    page = view(two_latents)
    wide = ".player.wide"
    assert page.locator(f"{wide} >> output").text_content() == "1.0"
    before = picture(page, f"{wide} >> .window")
    page.locator(f"{wide} >> input").fill("0")
    assert page.locator(f"{wide} >> output").text_content() == "0.4"
    assert picture(page, f"{wide} >> .window") != before


def test_moving_over_the_map_decodes_the_place(view, two_latents):
    page = view(two_latents)
    plane = page.locator(".plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    before = picture(page, ".map .window")
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] - 4)
    assert page.locator(".map output").text_content() == "z₀ = −3.0, z₁ = −3.0"
    corner = picture(page, ".map .window")
    assert corner != before
    plane.focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".map output").text_content() == "z₀ = −3.0, z₁ = −2.7"
    page.keyboard.press("ArrowLeft")  # at the edge already
    assert page.locator(".map output").text_content() == "z₀ = −3.0, z₁ = −2.7"
    assert picture(page, ".map .window") != corner
    assert page.locator(".legend li").all_text_contents() == ["0", "1", "2"]


def test_the_map_shows_the_frame_of_its_place(view, make_run):
    """A decoder whose picture is bright where z is large: the corners of the map tell it."""
    workdir = make_run(latent_size=2)
    run = vae.load(workdir)
    run.weights = np.zeros_like(run.weights)
    run.weights[0, :32] = run.weights[1, 32:] = 1 / 6  # z0 lights the upper half, z1 the lower
    page = view(report(workdir))
    plane = page.locator(".plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)  # a round corner
    page.locator(".map .window").screenshot(path=workdir / "shown.png")
    pixels = imread(workdir / "shown.png")[..., 0]
    height, width = pixels.shape
    assert pixels[height // 4, width // 2] > 0.95  # z0 = 3
    assert pixels[3 * height // 4, width // 2] < 0.05  # z1 = -3


def test_any_two_pictures_are_joined_both_ways(view, two_latents):
    page = view(two_latents)
    slider = page.locator(".blend .slide input")
    path = page.locator(".blend .between .window")
    slider.fill("0")
    start = path.screenshot()
    slider.fill("10")
    end = path.screenshot()
    assert start != end
    page.locator(".blend .end >> nth=0 >> button >> nth=1").click()
    page.locator(".blend .end >> nth=1 >> button >> nth=0").click()
    assert path.screenshot() == start  # from the second back to the first
    slider.fill("0")
    assert path.screenshot() == end
    page.locator(".blend .end >> nth=0 >> button >> nth=0").click()
    slider.fill("5")
    assert path.screenshot() == start  # of one picture twice: itself
    assert page.wrong == []


def test_pages_of_colour_vectors_and_comparisons_load_without_a_fault(view, make_run, tmp_path):
    colour = make_run(name="colour", shape=(9, 7, 3), latent_size=500)
    vectors = make_run(name="vectors", shape=(12,), observed="real")
    for path in (report(colour), report(vectors), compare((colour, vectors), tmp_path / "both")):
        page = view(path, 400)
        assert page.wrong == [] and wide_parts(page) == []
