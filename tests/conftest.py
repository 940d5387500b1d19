import sys
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ci"))
mpl.use("Agg")


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder, in place of the one of this machine."""
    folder = tmp_path / "data"
    monkeypatch.setenv("BOOK_DATA", str(folder))
    return folder
