"""The templates of the HTML pages."""

from pathlib import Path

FOLDER = Path(__file__).parent
