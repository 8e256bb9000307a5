"""`python -m tests.transcript --record [SCENE...]` plays the scenes and writes their transcripts anew."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.transcript.blocks import as_text
from tests.transcript.player import play
from tests.transcript.scenes import SCENES
from tests.transcript.transcript import FOLDER, file_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.transcript")
    parser.add_argument("--record", action="store_true", required=True, help="write the transcripts anew")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="only these; all, if none is named")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    chosen = [scene for scene in SCENES if not options.scenes or scene.name in options.scenes]
    for scene in chosen:
        with tempfile.TemporaryDirectory() as folder:
            file_of(scene).write_text(as_text(asyncio.run(play(scene, Path(folder)))))
        print(file_of(scene))
    if not options.scenes:
        for file in FOLDER.glob("*.txt"):
            if file not in {file_of(scene) for scene in SCENES}:
                file.unlink()


if __name__ == "__main__":
    main()
