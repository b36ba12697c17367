"""The sample platform on disk: scripts with their manifest, models, migrations and identity files."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from config.demo.sample_contents import CHANGED_SCRIPTS, FILES_MISSING, IDENTITIES

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


@dataclass(frozen=True)
class Person:
    """An identity, in the fields of the row and of the file."""

    uuid: str
    name: str
    source: str
    metadata: dict[str, object]
    is_active: bool


def people() -> list[Person]:
    """Return all identities. The first FILES_MISSING have no file, the last ROWS_MISSING no row."""
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
    """Return the file names of the media server's migrations."""
    return [f"{number:03}_{name}.sql" for number, name in enumerate(MIGRATIONS, start=1)]


def write_files(folder: Path) -> None:
    """Fill the folder, unless the folder exists: a later start keeps all changes."""
    if folder.exists():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # left by an interrupted start
    _write_scripts(new / "scripts")
    for name in MODELS:
        _write(new / "models" / name, f"stands for {name}\n")
    _write(new / "models" / "segmenter.mlpackage" / "Manifest.json", "{}\n")
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
    sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in scripts.items())
    _write(folder / "checksums.sha256", "".join(sums))
    for name in list(scripts)[-CHANGED_SCRIPTS:]:
        scripts[name] += "# edited on the server\n"
    for name, text in scripts.items():
        _write(folder / name, text)


def _write_identities(folder: Path) -> None:
    with_file = people()[FILES_MISSING:]
    for person in with_file:
        _write(folder / person.uuid / "identity.json", json.dumps(asdict(person), indent=2) + "\n")
    index = {person.uuid: {"name": person.name, "source": person.source} for person in with_file}
    _write(folder / "_index.json", json.dumps(index, indent=2) + "\n")
