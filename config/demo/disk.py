"""The sample platform on disk: scripts and their manifest, models, migrations, identity files."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from config.demo.plan import CHANGED_SCRIPTS, FILES_MISSING, IDENTITIES

PROCESSORS = ("asr", "yolo", "face", "pose", "ocr", "cut", "scene", "asrx", "visual_chunk")
VERBS = ("align", "check", "collect", "convert", "export", "filter", "index", "merge", "repair", "sample", "trim")
NOUNS = ("audio", "captions", "chunks", "embeddings", "faces", "frames", "labels", "scenes", "shots", "thumbnails")
MODELS = ("llm.gguf", "detector.pt", "pose.pth", "asr.bin", "ocr.onnx", "embedder.safetensors")
MIGRATIONS = (
    "create_files",
    "create_monitor_jobs",
    "create_identities",
    "add_users_table",
    "add_runtime_switches",
    "add_job_finished_at",
)
FIRST_NAMES = ("Ada", "Ben", "Chloe", "Daniel", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kofi", "Lena")
LAST_NAMES = ("Abadi", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaya")
SOURCES = ("tmdb", "auto", "merged")


@dataclass(frozen=True, slots=True)
class Person:
    """One identity, as its row and its file have it."""

    uuid: str
    name: str
    source: str
    metadata: dict[str, object]
    is_active: bool


def people() -> list[Person]:
    """All identities; the first FILES_MISSING have no file, the last ROWS_MISSING no row."""
    names = [f"{first} {last}" for first, last in product(FIRST_NAMES, LAST_NAMES)]
    return [
        Person(
            uuid=str(uuid5(NAMESPACE_URL, f"sample identity {number}")),
            name=names[number % len(names)],
            source=SOURCES[number % len(SOURCES)],
            metadata={"faces": 3 + number % 40},
            is_active=number % 25 != 24,
        )
        for number in range(IDENTITIES)
    ]


def migrations() -> list[str]:
    """The file names of the media server's own SQL migrations."""
    return [f"{number:03}_{name}.sql" for number, name in enumerate(MIGRATIONS, start=1)]


def write(folder: Path) -> None:
    """Write all of it to `folder`, or nothing: what is there already, changed by hand or not, is kept."""
    if folder.exists():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a start that was interrupted
    _write_scripts(new / "scripts")
    _write_models(new / "models")
    for name in migrations():
        _write(new / "migrations" / name, f"-- {name}: part of the sample platform, applied long ago\n")
    _write_identities(new / "identities")
    new.rename(folder)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _scripts() -> Iterator[tuple[str, str]]:
    for name in PROCESSORS:
        yield f"{name}_processor.py", f'"""Stands for the {name} processor of a real platform."""\n'
    for verb, noun in product(VERBS, NOUNS):
        yield f"tools/{verb}_{noun}.py", f'"""Stands for a script that can {verb} {noun}."""\n'


def _write_scripts(folder: Path) -> None:
    scripts = dict(_scripts())
    for name, text in scripts.items():
        _write(folder / name, text)
    sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in scripts.items())
    _write(folder / "checksums.sha256", "".join(sums))
    for name in list(scripts)[-CHANGED_SCRIPTS:]:
        _write(folder / name, scripts[name] + "# edited on the server\n")


def _write_models(folder: Path) -> None:
    for name in MODELS:
        _write(folder / name, f"stands for {name}\n")
    _write(folder / "segmenter.mlpackage" / "Manifest.json", "{}\n")


def _write_identities(folder: Path) -> None:
    with_file = people()[FILES_MISSING:]
    for person in with_file:
        content = {
            "uuid": person.uuid,
            "name": person.name,
            "source": person.source,
            "metadata": person.metadata,
            "is_active": person.is_active,
        }
        _write(folder / person.uuid / "identity.json", json.dumps(content, indent=2) + "\n")
    index = {person.uuid: {"name": person.name, "source": person.source} for person in with_file}
    _write(folder / "_index.json", json.dumps(index, indent=2) + "\n")
