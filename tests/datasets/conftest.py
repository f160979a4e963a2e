"""Where the real data lies, for the tests that want it."""

import os
from pathlib import Path

import pytest

BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def data_home() -> Path:
    home = Path(os.environ.get("SIXFOLD_DATA", BESIDE_THE_REPOSITORY))
    if not home.is_dir():
        pytest.skip("no real data here: set SIXFOLD_DATA to the folder that holds the data sets")
    return home
