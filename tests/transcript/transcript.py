"""Where the transcript is kept: one file for each scene."""

from pathlib import Path

from tests.transcript.steps import Scene

FOLDER = Path(__file__).parent / "recorded"


def file_of(scene: Scene) -> Path:
    return FOLDER / f"{scene.name}.txt"
