"""The built site, as a file tree and in headless Chromium."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium
import notebooks
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from tests.conftest import serve

ROOT = Path(__file__).resolve().parent.parent
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [x["file"] for part in TOC["parts"] for x in part["chapters"]]
CHAPTER = "chapters/08_fashion_mnist"
each_page = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built as `make book` builds it."""
    out = tmp_path_factory.mktemp("site")
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n"]
    done = subprocess.run(
        [*command, "--keep-going", "--path-output", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "WARNING" not in done.stdout + done.stderr
    return out / "_build" / "html"


@functools.cache
def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@functools.cache
def anchors(path):
    return {tag["id"] for tag in parse(path).find_all(id=True)}


def soup(site, page):
    return parse(site / f"{page}.html")


# --- the files ----------------------------------------------------------------------


@each_page
def test_page_exists_with_title_and_description(site, page):
    html = soup(site, page)
    assert len(html.select("article h1")) == 1
    assert "Every Cell Runs" in html.title.text
    description = html.find("meta", property="og:description")["content"]
    assert len(description) > 60
    assert not description.endswith("...")
    assert html.find("meta", attrs={"name": "description"})["content"] == description
    assert "$" not in description
    assert "{" not in description
    assert html.find("meta", property="og:site_name")["content"] == "Every Cell Runs"


@each_page
def test_internal_links_and_anchors_resolve(site, page):
    html, here = soup(site, page), site / f"{page}.html"
    checked = 0
    for link in html.find_all("a", href=True):
        url = urlsplit(link["href"])
        if url.scheme or url.netloc:
            continue
        target = (here.parent / unquote(url.path)).resolve() if url.path else here
        target = target / "index.html" if target.is_dir() else target
        assert target.exists(), link["href"]
        if url.fragment and target.suffix == ".html":
            assert unquote(url.fragment) in anchors(target), link["href"]
        checked += 1
    assert checked > 5


@each_page
def test_every_picture_has_alternative_text(site, page):
    html = soup(site, page)
    for image in html.find_all("img"):
        assert image.get("alt"), image
    for figure in html.select(".book-figure, .player-frame"):
        assert len(figure["aria-label"]) > 20, figure["aria-label"]


def test_nothing_unfinished_or_raw_is_on_a_page(site):
    for page in PAGES:
        text = soup(site, page).find("article").get_text()
        # a variable may be called todo
        assert not re.search(r"\{[\w:]+\}`|\bTODO\b|:::|[Ll]orem", text), page


def test_chapter_says_what_made_it(site):
    made = notebooks.read(ROOT / f"{CHAPTER}.ipynb").metadata["book"]
    line = soup(site, CHAPTER).select_one(".book-provenance").text
    for part in [made["torch"], made["date"], made["device"], made["code_digest"][:12]]:
        assert part in line


def test_chapter_figures_are_vectors_in_the_themes_colours(site):
    html = soup(site, CHAPTER)
    figures = html.select(".book-figure svg")
    assert len(figures) >= 8
    assert not html.select("article img[src$='.svg']")
    assert "var(--book-train)" in str(html)
    assert "fill: #ffffff" not in "".join(map(str, figures))


def test_pages_are_light(site):
    """A megabyte for a page with three players, whole, before any compression."""
    for page in PAGES:
        assert (site / f"{page}.html").stat().st_size < 1_000_000, page


def test_site_has_what_a_host_needs(site):
    for name in ["index.html", "404.html", "sitemap.xml", "search.html"]:
        assert (site / name).exists()
    sitemap = (site / "sitemap.xml").read_text()
    assert "chapters/08_fashion_mnist.html" in sitemap
    assert "404.html" not in sitemap


# --- in the browser -----------------------------------------------------------------


@pytest.fixture(scope="session")
def address(site):
    with serve(site) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    path = chromium.find()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(
                "CI has no Chromium: the browser tests may not be skipped there"
            )
        pytest.skip("no Chromium found and none could be had")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=chromium.OPTIONS
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Open pages; fail on a request to anyone else, a console error, a missing file."""
    contexts, trouble = [], []

    def heard(request):
        if not request.url.startswith((address, "data:", "blob:")):
            trouble.append(f"third party: {request.url}")

    def said(message):
        if message.type in ("error", "warning"):
            trouble.append(f"console: {message.text}")

    def answered(response):
        if response.status >= 400:
            trouble.append(f"{response.status}: {response.url}")

    def go(page, width=1440, theme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, **options
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", heard)
        tab.on("console", said)
        tab.on("response", answered)
        tab.on("pageerror", lambda error: trouble.append(f"script: {error}"))
        tab.goto(f"{address}/{page}.html")
        tab.wait_for_load_state("networkidle")
        return tab

    yield go
    for context in contexts:
        context.close()
    assert trouble == []


# Axe looks at the contrast of every coloured word of code, thousands on a page, which
# takes most of its time. One word of each look is enough: the others become plain text.
ONE_WORD_OF_EACH_LOOK = """() => {
    const seen = new Set(), again = [];
    for (const word of document.querySelectorAll('.highlight pre span')) {
        const look = getComputedStyle(word), parts = [word.className];
        for (let at = word; at.tagName !== 'ARTICLE'; at = at.parentElement)
            parts.push(getComputedStyle(at).backgroundColor);
        parts.push(look.color, look.fontSize, look.fontWeight, look.opacity);
        const key = parts.join();
        seen.has(key) ? again.push(word) : seen.add(key);
    }
    again.forEach(word => word.replaceWith(...word.childNodes));
    return [seen.size, again.length];
}"""


@each_page
@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1440, "light")])
def test_page_in_the_browser(visit, page, theme, width):
    """No stray request, no error, no sideways scroll, no axe violation at all."""
    tab = visit(page, width, theme)
    assert tab.evaluate("document.documentElement.dataset.theme") == theme
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    tab.evaluate(ONE_WORD_OF_EACH_LOOK)
    # preload would make axe fetch style sheets again, some from a wrong address; and
    # only violations are to be described in full, which halves the time
    options = {"preload": False, "resultTypes": ["violations"]}
    violations = Axe().run(tab, options=options).response["violations"]
    assert violations == [], [
        (v["id"], v["impact"], [n["html"][:150] for n in v["nodes"][:3]])
        for v in violations
    ]


def test_index_leads_to_the_landing_page(browser, address):
    tab = browser.new_page()
    tab.goto(f"{address}/index.html")
    tab.wait_for_url("**/book/index.html")
    assert tab.locator("article h1").count() == 1


def shown_frames(tab, player):
    return tab.evaluate(
        """p => [...p.querySelectorAll('.player-frame')].map(f =>
             f.checkVisibility() ? f.ariaLabel : null).filter(Boolean)""",
        player.element_handle(),
    )


def test_every_player_moves_by_keyboard(visit):
    tab = visit(CHAPTER)
    players = tab.locator(".player")
    assert players.count() >= 2
    for i in range(players.count()):
        player = players.nth(i)
        slider = player.get_by_role("slider").first
        slider.focus()
        tab.keyboard.press("Home")
        first = shown_frames(tab, player)
        tab.keyboard.press("ArrowRight")
        second = shown_frames(tab, player)
        assert len(first) == len(second) == 1
        assert first != second
        said = slider.get_attribute("aria-valuetext")
        assert player.locator("output").first.inner_text() == said
        tab.keyboard.press("End")
        assert shown_frames(tab, player) not in (first, second)


def test_player_plays_pauses_and_steps_with_reduced_motion(visit):
    tab = visit(CHAPTER)
    player = tab.locator(".player").first
    player.get_by_role("slider").first.focus()
    tab.keyboard.press("Home")
    button = player.get_by_role("button")
    before = shown_frames(tab, player)
    button.press("Enter")
    assert "Pause" in button.inner_text()
    tab.wait_for_timeout(1700)
    button.press("Enter")
    assert "Play" in button.inner_text()
    paused = shown_frames(tab, player)
    assert paused != before
    tab.wait_for_timeout(1000)
    assert shown_frames(tab, player) == paused

    still = visit(CHAPTER, reduced_motion="reduce")
    player = still.locator(".player").first
    button = player.get_by_role("button")
    assert "Next" in button.inner_text()
    before = shown_frames(still, player)
    button.click()
    one_step = shown_frames(still, player)
    assert one_step != before
    still.wait_for_timeout(1700)
    assert shown_frames(still, player) == one_step


def test_player_is_a_still_figure_without_scripts_and_in_print(visit):
    tab = visit(CHAPTER, java_script_enabled=False)
    player = tab.locator(".player").first
    assert player.locator(".player-frame:visible").count() == 1
    assert not player.get_by_role("slider").is_visible()
    tab = visit(CHAPTER)
    tab.emulate_media(media="print")
    player = tab.locator(".player").first
    assert player.locator(".player-frame:visible").count() == 1
    assert not player.get_by_role("slider").is_visible()


def test_figures_change_colour_with_the_theme(visit):
    def text_colour(theme):
        tab = visit(CHAPTER, theme=theme)
        return tab.evaluate(
            "getComputedStyle(document.querySelector('.player-frame text')).fill"
        )

    assert text_colour("light") == "rgb(31, 35, 40)"
    assert text_colour("dark") == "rgb(230, 232, 235)"


def test_code_can_be_copied(visit):
    tab = visit(CHAPTER, permissions=["clipboard-read", "clipboard-write"])
    cell = tab.locator("div.cell_input").nth(1)
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == cell.locator("pre").inner_text().strip()


def test_search_finds_the_chapter(visit):
    tab = visit("search")
    tab.goto(tab.url + "?q=dropout")
    # Results arrive one at a time, so wait for the chapter, not for the first.
    tab.locator("#search-results li a[href*='08_fashion_mnist']").first.wait_for()


def test_colab_links_point_at_the_notebook(site):
    path = notebooks.repository_url().removeprefix("https://github.com/")
    expected = (
        f"https://colab.research.google.com/github/{path}/blob/colab/{CHAPTER}.ipynb"
    )
    links = {a["href"] for a in soup(site, CHAPTER).find_all("a", href=True)}
    assert expected in links
    colab = {link for link in links if "colab.research" in link}
    assert colab == {expected}


def test_solutions_are_folded_and_the_quiz_unfolds(visit):
    tab = visit(CHAPTER)
    solution = tab.locator(".solution.admonition").first
    assert "toggle-hidden" in solution.get_attribute("class")
    answer = tab.locator("details.quiz").first
    assert not answer.locator("p").is_visible()
    answer.locator("summary").press("Enter")
    assert answer.locator("p").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_dot_says_what_it_is_by_mouse_finger_and_keyboard(visit, theme):
    def look(tab):
        figure = tab.locator(".points").first
        spots = figure.locator(".player-frame").first.get_attribute("data-spots")
        at, spot = next((i, s) for i, s in enumerate(json.loads(spots)) if s)
        box = figure.locator(".player-frame").first.bounding_box()
        place = (
            box["x"] + spot[0] * box["width"] / 1000,
            box["y"] + spot[1] * box["height"] / 1000,
        )
        return figure, at, place

    tab = visit("chapters/17_choosing", theme=theme)
    figure, _, _ = look(tab)
    note, ring = figure.locator(".points-note"), figure.locator(".points-ring")
    assert "Point at a dot" in note.inner_text()
    assert not ring.is_visible()
    figure.scroll_into_view_if_needed()
    _, _, place = look(tab)
    tab.mouse.move(*place)
    assert "%" in note.inner_text()
    assert ring.is_visible()
    centre = ring.bounding_box()
    assert abs(centre["x"] + centre["width"] / 2 - place[0]) < 1.5
    assert abs(centre["y"] + centre["height"] / 2 - place[1]) < 1.5
    names = figure.get_by_label("which")
    names.focus()
    before = note.inner_text()
    tab.keyboard.press("ArrowDown")
    assert note.inner_text() != before
    figure.get_by_label("across").select_option(index=1)
    assert figure.locator(".player-frame:visible").count() == 1

    phone = visit("chapters/17_choosing", width=360, theme=theme, has_touch=True)
    figure, _, _ = look(phone)
    figure.scroll_into_view_if_needed()
    _, _, place = look(phone)
    phone.touchscreen.tap(*place)
    assert "%" in figure.locator(".points-note").inner_text()


def test_points_are_a_still_figure_without_scripts_and_in_print(visit):
    still = visit("chapters/17_choosing", java_script_enabled=False)
    paper = visit("chapters/17_choosing")
    paper.emulate_media(media="print")
    for tab in (still, paper):
        figure = tab.locator(".points").first
        assert figure.locator(".player-frame:visible").count() == 1
        assert not figure.get_by_label("which").is_visible()
