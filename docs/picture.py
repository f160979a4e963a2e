"""Draws docs/report.png: `python docs/picture.py .sixfold/video@shorts/report.html`.

Needs chromium on the path. Shows the head of the report and its section of models; the sections between are left out.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1000, 925
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ONLY_MODELS = (
    "<style>section:not([aria-labelledby=models]), nav, footer { display: none } h2 { margin-top: 1.4rem }</style>"
)


def draw(report: Path, picture: Path) -> None:
    """Screenshot the report into `picture`, in few colours so that the file stays small."""
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        page.write_text(report.read_text("utf-8").replace("</head>", ONLY_MODELS + "</head>"), "utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
        subprocess.run(  # noqa: S603 (a fixed command over a file of ours)
            [browser(), *options, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True
        )
        Image.open(shot).convert("RGB").quantize(64).save(picture, optimize=True)


def browser() -> str:
    """The first browser that is there."""
    from shutil import which

    found = next((path for path in map(which, BROWSERS) if path), None)
    return found or sys.exit(f"none of {', '.join(BROWSERS)} is on the path")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(__file__).with_name("report.png"))
