"""The stored notebooks: made by their own code, clean, and true to what they say."""

import ast
import copy
import datetime
import re
import shutil
import subprocess
import sys
from pathlib import Path

import notebooks
import papermill
import publish
import pytest
import set_url
import yaml
from colab_edition import Edition, edition
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pybtex.database import parse_file

from tests import quick

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = notebooks.chapters()
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def glued(path):
    values = Edition(notebooks.read(path), "", None).glued
    return {name: value.strip("'") for name, value in values.items()}


@each_chapter
def test_outputs_were_made_by_this_code(path):
    notebook = notebooks.read(path)
    made = notebook.metadata["book"]
    assert made["code_digest"] == notebooks.code_digest(notebook), (
        f"The code of {path.name} has changed since its outputs were stored: run "
        f"make publish CHAPTER={path.stem}"
    )
    assert set(made) == {"code_digest", "commit", "date", "device", "seconds", "torch"}
    assert re.fullmatch(r"[0-9a-f]{40}", made["commit"]), "published with changes about"
    assert datetime.date.fromisoformat(made["date"])
    assert made["seconds"] > 1


@each_chapter
def test_outputs_are_fit_to_be_published(path):
    assert notebooks.complaints(notebooks.read(path)) == []


@each_chapter
def test_stored_notebook_is_normalised(path):
    notebook = notebooks.read(path)
    again = copy.deepcopy(notebook)
    notebooks.normalise(again)
    assert again == notebook


@each_chapter
def test_size(path):
    assert path.stat().st_size < 2_000_000


def length(cell):
    """Lines of code: those that are neither empty nor part of a docstring."""
    lines = dict(enumerate(cell.source.splitlines(), start=1))
    tree = ast.parse("" if "%pip" in cell.source else cell.source)
    for node in ast.walk(tree):
        kinds = (ast.FunctionDef, ast.ClassDef)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            said = node.body[0]
            for number in range(said.lineno, said.end_lineno + 1):
                lines[number] = ""
    return sum(bool(line.strip()) for line in lines.values())


@each_chapter
def test_cells_are_short_and_one_holds_the_parameters(path):
    code = notebooks.code_cells(notebooks.read(path))
    assert max(map(length, code)) <= 20
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert "colab-setup" in code[0].metadata["tags"]


@each_chapter
def test_every_quoted_number_was_made_by_a_cell(path):
    notebook = notebooks.read(path)
    captions = [
        cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        for cell in notebook.cells
    ]
    prose = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    quoted = re.findall(r"\{glue:text\}`([^`:]+)", "\n".join(prose + captions))
    assert quoted
    assert set(quoted) <= set(glued(path))


def test_every_chapter_is_in_the_table_of_contents_and_has_a_quick_scale():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    listed = [Path(name).name for name in listed if name.startswith("chapters/")]
    assert sorted(listed) == [path.stem for path in CHAPTERS]
    assert sorted(quick.PARAMETERS) == [path.stem for path in CHAPTERS]


def test_quick_run_refuses_a_parameter_that_the_chapter_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="no parameter epoch, sed"):
        quick.prepare(CHAPTERS[0], tmp_path / "x.ipynb", {"sed": 0, "epoch": 1})


def test_quick_run_keeps_the_code_and_the_stored_outputs(tmp_path):
    path = CHAPTERS[0]
    quick.prepare(path, tmp_path / "x.ipynb", quick.PARAMETERS[path.stem])
    ours, theirs = notebooks.read(path), notebooks.read(tmp_path / "x.ipynb")
    code = [c.source for c in notebooks.code_cells(ours)]
    others = notebooks.code_cells(theirs)
    injected = [c for c in others if "injected-parameters" in c.metadata.tags]
    assert [c.source for c in others if c not in injected] == code
    assert len(injected) == 1
    assert sum(map(bool, (c.outputs for c in others))) > 10
    assert papermill.inspect_notebook(tmp_path / "x.ipynb")


# --- the tools themselves -----------------------------------------------------------


def test_nbval_notices_a_compared_cell_that_changed(tmp_path):
    """What compares the chapters can fail: one stored output is wrong on purpose."""
    cells = [new_code_cell("print(1 + 1)"), new_code_cell("print(2 + 2)")]
    for cell, text in zip(cells, ("2\n", "5\n"), strict=True):
        cell.metadata["tags"] = ["nbval-check-output"]
        cell.outputs = [new_output("stream", name="stdout", text=text)]
        cell.execution_count = 1
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    (tmp_path / "x.ipynb").write_text(notebooks.nbformat.writes(notebook))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "x.ipynb", "-q"]
    done = subprocess.run(
        command + ["-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed" in done.stdout


def test_a_plus_behind_the_commit_tells_of_code_that_is_not_in_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    chapter, other = (
        tmp_path / "chapters" / "1.ipynb",
        tmp_path / "chapters" / "2.ipynb",
    )
    helper = tmp_path / "helpers" / "data.py"
    for path in (chapter, other, helper):
        path.parent.mkdir(exist_ok=True)
        path.write_text("1")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    other.write_text("2")  # another chapter
    assert re.fullmatch("[0-9a-f]{40}", publish.commit_of(chapter))
    assert publish.commit_of(other).endswith("+")
    new = other.with_name("3.ipynb")
    new.write_text("1")  # git does not know it yet
    assert publish.commit_of(new).endswith("+")
    helper.write_text("2")
    assert publish.commit_of(chapter).endswith("+")


def test_complaints_are_made():
    bad = [
        new_output("stream", name="stderr", text="warning"),
        new_output("stream", name="stdout", text="saved in /root/x"),
        new_output("stream", name="stdout", text="Stand-in data: a few"),
        new_output("error", ename="ValueError", evalue="no", traceback=[]),
        new_output("display_data", data={"image/svg+xml": "<svg/>"}),
        new_output("display_data", data={notebooks.WIDGET: {}}),
    ]
    notebook = new_notebook(cells=[new_code_cell("x", outputs=bad, execution_count=2)])
    found = "\n".join(notebooks.complaints(notebook))
    for complaint in [
        "not run in order",
        "wrote to stderr",
        "path of this machine",
        "used stand-in data",
        "failed: ValueError",
        "without alternative text",
        "needs its kernel",
    ]:
        assert complaint in found


def test_digest_follows_the_code_alone():
    notebook = new_notebook(cells=[new_markdown_cell("a"), new_code_cell("x = 1")])
    digest = notebooks.code_digest(notebook)
    notebook.cells[0].source = "other prose"
    notebook.cells[1].source = "# a reason\nx = 1  # try 2"
    assert notebooks.code_digest(notebook) == digest
    for code in ("x = 2", 'x = "1  # try 2"', "if x:\n    x = 1"):
        notebook.cells[1].source = code
        assert notebooks.code_digest(notebook) != digest


def test_normalise_drops_progress_bars_and_kernels_and_joins_streams():
    outputs = [
        new_output("display_data", data={notebooks.WIDGET: {}, "text/plain": "bar"}),
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stdout", text="b\n"),
        new_output(
            "execute_result", data={notebooks.WIDGET: {}, "text/html": "player"}
        ),
    ]
    cell = new_code_cell("x", outputs=outputs)
    cell.metadata["execution"] = {"iopub.status.busy": "now"}
    notebook = new_notebook(cells=[cell], metadata={"widgets": {}, "toc": {}})
    notebooks.normalise(notebook)
    assert [o.output_type for o in cell.outputs] == ["stream", "execute_result"]
    assert cell.outputs[0].text == "a\nb\n"
    assert cell.outputs[1].data == {"text/html": "player"}
    assert cell.metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


# --- the address, in one place ------------------------------------------------------


def tracked_files():
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def test_the_address_is_the_same_everywhere():
    url = notebooks.repository_url()
    address = re.compile(r"https://github\.com/[\w-]*every[\w-]*/[\w-]+", re.I)
    found = {}
    for path in tracked_files():
        if path.suffix in {".ipynb", ".md", ".cff", ".yml", ".toml"}:
            text = path.read_text(encoding="utf-8")
            found[path.name] = set(address.findall(text))
    assert set().union(*found.values()) == {url}
    for path in CHAPTERS:
        setup = notebooks.code_cells(notebooks.read(path))[0].source
        assert f"git+{url}\n" in setup + "\n"
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    pages = set_url.pages_url(url)
    assert config["html"]["baseurl"] == pages
    assert config["sphinx"]["config"]["ogp_site_url"] == pages
    prefix = config["sphinx"]["config"]["notfound_urls_prefix"]
    assert pages.endswith(f".github.io{prefix}")
    assert url in (ROOT / "README.md").read_text(encoding="utf-8")
    assert url in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_one_command_moves_the_book(tmp_path):
    copy_of_book = tmp_path / "book"
    for path in tracked_files():
        target = copy_of_book / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    git = ["git", "-C", str(copy_of_book), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    old = notebooks.repository_url()
    command = [sys.executable, ".ci/set_url.py", "https://github.com/someone/elsewhere"]
    subprocess.run(command, cwd=copy_of_book, check=True, capture_output=True)
    left = [
        path
        for path in copy_of_book.rglob("*")
        if path.is_file()
        and ".git/" not in str(path)
        and old in path.read_text(encoding="utf-8", errors="ignore")
        and path.name != "test_chapters.py"
    ]
    assert left == []
    config = (copy_of_book / "_config.yml").read_text(encoding="utf-8")
    assert "https://someone.github.io/elsewhere/" in config
    assert 'notfound_urls_prefix: "/elsewhere/"' in config
    bad = subprocess.run([*command[:2], "elsewhere"], cwd=copy_of_book)
    assert bad.returncode != 0


# --- the Colab edition --------------------------------------------------------------


@each_chapter
def test_colab_edition_has_the_same_code_and_no_raw_markup(path):
    ours = notebooks.read(path)
    theirs = edition(ours, f"chapters/{path.stem}")
    code = [c.source for c in notebooks.code_cells(ours)]
    plain = [
        c.source.removeprefix("#@title Show the solution\n")
        for c in notebooks.code_cells(theirs)
    ]
    assert plain == code
    prose = "\n".join(c.source for c in theirs.cells if c.cell_type == "markdown")
    assert not re.search(r"\{[\w:-]+\}`|^:::|^```\{|^\(.+\)=$|glue:", prose, re.M)
    assert "Exercise 1." in prose
    folded = [c for c in notebooks.code_cells(theirs) if c.metadata.get("cellView")]
    assert len(folded) >= 3


def markdown(text):
    values = {"loss": "0.12345", "n": "1234567", "who": "'a word'"}
    cells = [
        new_code_cell(
            name,
            outputs=[
                new_output(
                    "display_data",
                    data={"application/papermill.record/text/plain": value},
                    metadata={"scrapbook": {"name": name}},
                )
            ],
        )
        for name, value in values.items()
    ]
    bibliography = parse_file(ROOT / "book" / "references.bib")
    return Edition(new_notebook(cells=cells), "chapters/x", bibliography).markdown(text)


def test_colab_markdown():
    text = "{glue:text}`loss:.2f` {glue:text}`n:,`"
    assert markdown(text) == "0.12 1,234,567"
    assert markdown("{glue:text}`who`") == "a word"
    assert markdown("(here)=\n## Title") == "## Title"
    assert "[Kingma and Ba (2015)](https://arxiv" in markdown(
        "{cite:t}`kingma2015adam`"
    )
    assert markdown("{cite:p}`kingma2015adam`").startswith("([Kingma and Ba, 2015](")
    assert "[Zalando Research (2017)]" in markdown("{cite:t}`zalando2017benchmark`")
    assert "[see](https://" in markdown("[see](ex-one)")
    assert "chapters/x.html#ex-one" in markdown("[see](ex-one)")
    text = ":::{exercise}\n:label: ex-one\n\nCount.\n:::\n"
    assert markdown(text) == "**Exercise 1.** Count."
    links = markdown("{doc}`/book/notation` and {doc}`/chapters/08_fashion_mnist`")
    assert links.startswith("[Notation](https://")
    assert "[Six recipes for Fashion-MNIST](https://" in links
    assert markdown(":::{note} Mind\nA line.\n:::\n") == "> **Mind**\n>\n> A line."


@pytest.mark.parametrize("text", ["{numpy}`x`", "::::\n", "```{figure} x\n```"])
def test_colab_markdown_refuses_what_it_cannot_turn(text):
    with pytest.raises(ValueError, match="chapters/x"):
        markdown(text)


# --- the code, all of it ------------------------------------------------------------


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- what the chapters promise ------------------------------------------------------


def test_six_recipes_reach_their_figures():
    values = glued(ROOT / "chapters" / "08_fashion_mnist.ipynb")
    assert float(values["largest_difference"]) < 0.02
    assert int(values["baseline_n"]) >= 5
    assert float(values["cnn_mean_sd"].split(" ± ")[0]) >= 92
    assert int(values["mlp_parameters"]) == 235_146
    # Over-fitting, and what dropout does to it: apart by two standard errors and more.
    (plain, a), (dropout, b) = (
        map(float, values[name].split(" ± "))
        for name in ("plain_final", "dropout_final")
    )
    error = ((a**2 + b**2) / int(values["long_n"])) ** 0.5
    assert plain - dropout > 2 * error
    assert float(values["last_sure"]) > float(values["best_sure"])


def test_docstrings_do_not_make_a_cell_long():
    function = [
        "def f():",
        '    """Say.',
        "",
        "    More.",
        '    """',
        "",
        "    return 1",
    ]
    assert length(new_code_cell("\n".join(function))) == 2
