"""Make the notebooks that Colab opens: `python .ci/colab_edition.py DEST`.

Colab shows plain Markdown. The chapters use MyST for citations, exercises, cross
references and numbers quoted from cells, which Colab would show raw. This writes each
notebook again with those turned into plain Markdown, its code and outputs unchanged,
and refuses to write one in which any MyST markup is left. The deploy workflow puts the
result on the branch `colab`, where the site's Colab buttons point.
"""

import ast
import re
import sys
from pathlib import Path

import nbformat
import notebooks
import yaml
from nbformat.v4 import new_markdown_cell
from pybtex.database import BibliographyData, parse_file

GLUE = "application/papermill.record/"
DIRECTIVE = re.compile(r"^:::+\{([\w-]+)\} *(.*)\n((?:.*\n)*?):::+ *$", re.M)
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
TARGET = re.compile(r"^\(([\w-]+)\)=\n", re.M)
LEFT = re.compile(r"\{[\w:-]+\}`|^:::|^```\{|^\([\w-]+\)=$|^\+\+\+", re.M)


class Edition:
    """Turns the Markdown of one notebook from MyST into what Colab shows."""

    def __init__(self, notebook, page: str, bibliography: BibliographyData):
        self.page, self.site = page, site_url()
        self.bibliography = bibliography
        self.glued = {
            output.metadata["scrapbook"]["name"]: output.data[f"{GLUE}text/plain"]
            for cell in notebooks.code_cells(notebook)
            for output in cell.outputs
            if "scrapbook" in output.get("metadata", {})
        }
        self.exercises = 0

    def markdown(self, text: str) -> str:
        text = TARGET.sub("", text)
        while DIRECTIVE.search(text):
            text = DIRECTIVE.sub(self._directive, text)
        text = ROLE.sub(self._role, text)
        text = re.sub(r"\]\((?!https?:|#)([\w-]+)\)", rf"]({self.url}#\1)", text)
        if left := LEFT.search(text):
            raise ValueError(
                f"{self.page}: MyST that Colab would show raw: {left[0]!r}"
            )
        return text.strip("\n")

    @property
    def url(self) -> str:
        return f"{self.site}{self.page}.html"

    def _directive(self, match) -> str:
        name, argument, body = match[1], match[2], match[3]
        body = re.sub(r"\A(?::[\w-]+:.*\n)+", "", body).strip()
        if name == "exercise":
            self.exercises += 1
            return f"**Exercise {self.exercises}.** {body}"
        if name == "solution-start":
            return f"**Solution to exercise {self.exercises}**"
        if name == "solution-end":
            return ""
        title = argument or name.capitalize()
        return f"> **{title}**\n>\n" + "\n".join(f"> {x}" for x in body.splitlines())

    def _role(self, match) -> str:
        role, content = match[1], match[2]
        if role == "glue:text":
            name, _, form = content.partition(":")
            value = self.glued[name]
            if form:
                return format(ast.literal_eval(value), form)
            return value.strip("'")
        if role.startswith("cite"):
            links = [self._citation(key.strip(), role) for key in content.split(",")]
            return ", ".join(links) if role == "cite:t" else f"({', '.join(links)})"
        label = re.match(r"(?:(.+) <)?([^<>]+)>?$", content)
        if role == "doc":
            page = label[2].lstrip("/")
            title = label[1] or _title(notebooks.ROOT / page)
            return f"[{title}]({self.site}{page}.html)"
        if role in ("ref", "numref"):
            return f"[{label[1] or 'the figure'}]({self.url}#{label[2]})"
        if role == "term":
            return label[1] or content
        raise ValueError(f"{self.page}: no plain form for the role {role}")

    def _citation(self, key: str, role: str) -> str:
        entry = self.bibliography.entries[key]
        people = [
            " ".join(person.last_names).strip("{}")
            for person in entry.persons["author"]
        ]
        names = " and ".join(people) if len(people) < 3 else f"{people[0]} et al."
        year = entry.fields["year"]
        text = f"{names} ({year})" if role == "cite:t" else f"{names}, {year}"
        fields = entry.fields
        if "doi" in fields:
            return f"[{text}](https://doi.org/{fields['doi']})"
        arxiv = f"https://arxiv.org/abs/{fields.get('eprint')}"
        return f"[{text}]({fields.get('url', arxiv)})"


def _title(page: Path) -> str:
    """Return the heading of a page, be it Markdown or a notebook."""
    notebook = page.with_name(f"{page.name}.ipynb")
    if notebook.exists():
        cells = notebooks.read(notebook).cells
        text = next(c.source for c in cells if c.cell_type == "markdown")
    else:
        text = page.with_name(f"{page.name}.md").read_text(encoding="utf-8")
    return re.search(r"^# (.+)$", text, re.M)[1]


def site_url() -> str:
    config = yaml.safe_load(
        (notebooks.ROOT / "_config.yml").read_text(encoding="utf-8")
    )
    return config["html"]["baseurl"]


def edition(notebook, page: str):
    """Return the notebook as Colab should open it; the one given stays as it is."""
    maker = Edition(
        notebook, page, parse_file(notebooks.ROOT / "book" / "references.bib")
    )
    cells, solving = [new_markdown_cell(_head(maker))], False
    for cell in nbformat.from_dict(notebook).cells:
        if cell.cell_type == "markdown":
            solving = "{solution-start}" in cell.source or (
                solving and "{solution-end}" not in cell.source
            )
            cell.source = maker.markdown(cell.source)
            if cell.source:
                cells.append(cell)
            continue
        if solving:  # Colab folds a cell of this view to its title
            cell.metadata["cellView"] = "form"
            cell.source = f"#@title Show the solution\n{cell.source}"
        cells.append(cell)
        if caption := cell.metadata.get("mystnb", {}).get("figure", {}).get("caption"):
            cells.append(new_markdown_cell(f"*Figure.* {maker.markdown(caption)}"))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:03}"
    metadata = {k: v for k, v in notebook.metadata.items() if k != "book"}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _head(maker: Edition) -> str:
    return (
        f"*This is a chapter of [Every Cell Runs]({maker.site}). "
        f"[Read it as a page]({maker.url}), or run it here, cell by cell.*"
    )


def main(destination: Path) -> None:
    for path in notebooks.chapters():
        target = destination / "chapters" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        made = edition(notebooks.read(path), f"chapters/{path.stem}")
        nbformat.validate(made)
        nbformat.write(made, target)
        print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
