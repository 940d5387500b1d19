"""What a cell says: numbers that the prose quotes, and errors that are meant."""

import textwrap

from IPython.display import display

GLUE_MIME_PREFIX = "application/papermill.record/"


def glue(name: str, value: object) -> None:
    """Print ``value``, and keep it in the notebook for the prose to quote by ``name``.

    The text says ``{glue:text}`name``` or, with a format, ``{glue:text}`name:.1f```. It
    writes what ``myst_nb.glue`` writes, without needing the site's packages on Colab.
    Taught in CONTRIBUTING.md.
    """
    value = value.item() if hasattr(value, "item") else value  # not np.float64(0.5)
    print(f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")
    display(
        {f"{GLUE_MIME_PREFIX}text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": GLUE_MIME_PREFIX}},
    )


def say(error: object) -> None:
    """Print an error's message in lines of 40 letters, which a phone shows whole.

    Taught in chapter 1.
    """
    print(textwrap.fill(str(error), 40))
