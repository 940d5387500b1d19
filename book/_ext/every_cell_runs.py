"""The book's Sphinx extension: a site that asks nobody else for anything.

Four rooms: MathJax from the book's own environment and no thebe (`_self_host`), figures
that follow the theme (`_figures`), the lines above and below a chapter that say how to
run it and what made its outputs (`_chapter_lines`), and names for the theme's controls
that assistive technology can use (`_accessible`).
"""

import hashlib
import html
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parents[2])
)  # helpers, installed or not

from helpers.plotting import COLORS, INK, inline_svg

PALETTE = INK | COLORS


def setup(app):
    # Sphinx rewrites pages for a changed option, but not for a changed style sheet.
    app.add_config_value("book_look", _look(), "html", [str])
    app.connect("builder-inited", _drop_thebe)
    app.connect("build-finished", _copy_mathjax)
    app.connect("html-page-context", _page, priority=900)  # after the theme
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _page(app, pagename, templatename, context, doctree):
    _point_at_colab_edition(context)
    notebook = Path(app.srcdir, f"{pagename}.ipynb")
    described = _describe(app, pagename, notebook, context.get("metatags", ""))
    context["metatags"] = described + _palette_style()
    if "body" in context:
        body = _figures(app, context["body"])
        if notebook.exists():
            body = _chapter_lines(app, pagename, notebook, body)
        context["body"] = _accessible(body)


def _describe(app, pagename, notebook: Path, tags: str) -> str:
    """Let a page say in its own words what it is about, to search and to previews."""
    words = app.env.metadata.get(pagename, {}).get("description")
    if notebook.exists():
        words = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get(
            "description"
        )
    if not words:
        return tags
    content = html.escape(words)
    return re.sub(
        r'(<meta (?:name|property)="(?:og:)?description" content=)"[^"]*"',
        lambda match: f'{match[1]}"{content}"',
        tags,
    )


def _look() -> str:
    here = Path(__file__)
    files = [here, *sorted(here.parent.parent.glob("_[st]*/**/*.*"))]
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()


# --- nothing from elsewhere ---------------------------------------------------------


def _drop_thebe(app):
    """Thebe would load scripts from a content network on every page."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.startswith("sphinx_thebe"):
                app.disconnect(listener.id)


def _copy_mathjax(app, exception):
    """Copy the parts of MathJax that the pages use from the installed package."""
    if exception or app.builder.name != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline").origin
    source = Path(package).parent / "static" / "mathjax"
    target = Path(app.outdir, "_static", "lib", "mathjax")
    for part in ["tex-chtml.js", "output/chtml/fonts/woff-v2", "a11y/assistive-mml.js"]:
        place = target / part
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / part).is_dir() else shutil.copyfile
        options = {"dirs_exist_ok": True} if (source / part).is_dir() else {}
        copy(source / part, place, **options)


def _point_at_colab_edition(context):
    """The branch ``colab`` holds the notebooks without the site's own markup."""
    branch = context.get("theme_repository_branch", "main")
    for button in context.get("header_buttons", []):
        for link in button.get("buttons", []):
            if link.get("text") == "Colab":
                link["url"] = link["url"].replace(f"/blob/{branch}/", "/blob/colab/")


# --- figures that follow the theme --------------------------------------------------


def _palette_style() -> str:
    light, dark = (
        ";".join(f"--book-{name}:{pair[i]}" for name, pair in PALETTE.items())
        for i in (0, 1)
    )
    return (
        f"<style>:root{{{light};--book-paper:transparent}}"
        f"html[data-theme=dark]{{{dark}}}"
        f"@media print{{:root,html[data-theme=dark]{{{light}}}}}</style>"
    )


def _figures(app, body: str) -> str:
    """Put Matplotlib's vectors into the page and give them the theme's colours."""
    paths = {name: Path(app.srcdir, uri) for uri, name in app.builder.images.items()}

    def inline(match):
        path = paths.get(match["name"])
        if path is None or "jupyter_execute" not in path.parts:
            return match[0]
        alt = re.search(r'alt="([^"]*)"', match[0])
        svg = inline_svg(path.read_text(encoding="utf-8"), f"f{path.stem[:10]}-")
        label = alt[1] if alt else ""
        return f'<div class="book-figure" role="img" aria-label="{label}">{svg}</div>'

    body = re.sub(r'<img\b[^>]*src="[^"]*/(?P<name>[^"/]+\.svg)"[^>]*>', inline, body)
    return re.sub(r"<svg\b.*?</svg>", lambda m: _themed(m[0]), body, flags=re.S)


def _themed(svg: str) -> str:
    """Swap the palette for the theme's, and leave out what nobody can see."""
    svg = re.sub(r' d="[^"]*"', lambda d: re.sub(r"(\.\d)\d+", r"\1", d[0]), svg)
    svg = re.sub(r" font-family: '[^;\"]*;", "", svg)  # book.css names it
    svg = re.sub(r'"data:[^"]*"', lambda data: re.sub(r"\s", "", data[0]), svg)
    for name, (light, _) in PALETTE.items():
        svg = svg.replace(f": {light}", f": var(--book-{name})")
    return svg


# --- above and below a chapter ------------------------------------------------------


def _chapter_lines(app, pagename, notebook: Path, body: str) -> str:
    made = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("book")
    repository = app.config.html_theme_options["repository_url"]
    owner_name = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner_name}/blob/colab"
    source = "../" * pagename.count("/") + f"_sources/{pagename}.ipynb"
    links = (
        '<p class="book-run">'
        f'<a class="book-button" href="{colab}/{pagename}.ipynb">Open in Colab</a> '
        f'<a href="{source}" download>Download the notebook</a></p>'
    )
    if made is None:
        return body.replace("</h1>", f"</h1>\n{links}", 1)
    commit = made["commit"]
    footer = (
        '<p class="book-provenance">Every output on this page was stored by one run of '
        f"the notebook from a fresh kernel: {made['date']}, "
        f"{_duration(made['seconds'])} on {html.escape(made['device'])}, "
        f"PyTorch {html.escape(made['torch'])}, "
        f'commit <a href="{repository}/commit/{commit}">{commit[:7]}</a>, '
        f"code digest <code>{made['code_digest'][:12]}</code>.</p>"
    )
    return body.replace("</h1>", f"</h1>\n{links}", 1) + footer


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


# --- names for assistive technology -------------------------------------------------


def _accessible(body: str) -> str:
    """Let the keyboard reach code that scrolls; drop roles that ARIA has dropped."""
    body = body.replace("<pre>", '<pre tabindex="0">')
    body = body.replace("<th></th>", "<td></td>")  # pandas: a header of nothing
    body = body.replace(' role="doc-biblioentry"', "")
    body = body.replace('<div role="list" class="citation-list">', "<div>")
    return body.replace(
        '<table border="1" class="dataframe">', '<table class="dataframe">'
    )
