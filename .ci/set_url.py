"""Give the book another address: `python .ci/set_url.py https://github.com/ORG/REPO`.

The address stands in _config.yml; this changes it there and wherever it is repeated
(the site's own address, the notebooks' Colab cell, README, CITATION). A test keeps them
equal.
"""

import re
import subprocess
import sys

import notebooks


def pages_url(repository: str) -> str:
    owner, name = repository.removeprefix("https://github.com/").split("/")
    return f"https://{owner}.github.io/{name}/"


def main(new: str) -> None:
    new = new.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", new):
        raise SystemExit(f"{new} is not of the form https://github.com/ORG/REPO")
    old = notebooks.repository_url()
    pairs = [(pages_url(old), pages_url(new)), (old, new)]
    prefix = 'notfound_urls_prefix: "/{}/"'
    pairs.append(tuple(prefix.format(url.rsplit("/")[-1]) for url in (old, new)))
    command = ["git", "-C", notebooks.ROOT, "ls-files"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = notebooks.ROOT / name
        try:
            text = before = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for was, now in pairs:
            text = text.replace(was, now)
        if text != before:
            path.write_text(text, encoding="utf-8")
            print("changed", name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
