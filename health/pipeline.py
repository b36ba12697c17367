"""The pipeline's readiness, as far as the disk shows it: scripts and their checksums, processors, models, ffmpeg."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from django.conf import settings

from health import manifest
from health.digests import Digests
from health.registry import Degraded

MODEL_KINDS: Final = (".gguf", ".pt", ".pth", ".bin", ".onnx", ".safetensors")
MODEL_FOLDER: Final = ".mlpackage"


class ScriptsIntegrity(TypedDict):
    matched: int
    total: int
    ok: bool


class Pipeline(TypedDict):
    scripts_ready: bool
    scripts_count: int
    processors: dict[str, bool]
    models_ready: bool
    models_count: int
    scripts_integrity: ScriptsIntegrity
    ffmpeg: bool


def inspect(digests: Digests) -> Pipeline:
    """Look at the folders that the settings name; one not set is not ready. Raises Degraded where a part is missing."""
    scripts, models = settings.SCRIPTS_DIR, settings.MODELS_DIR
    integrity = manifest.verify(scripts, digests) if scripts else manifest.Integrity(0, 0)
    found: Pipeline = {
        "scripts_ready": is_accessible(scripts),
        "scripts_count": sum(1 for _ in _scripts(scripts)) if scripts else 0,
        "processors": {name: is_available(file) for name, file in settings.PIPELINE_PROCESSORS.items()},
        "models_ready": is_accessible(models),
        "models_count": sum(1 for _ in _models(models)) if models else 0,
        "scripts_integrity": {"matched": integrity.matched, "total": integrity.total, "ok": integrity.ok},
        "ffmpeg": shutil.which(settings.FFMPEG) is not None,
    }
    if missing := _missing(found):
        raise Degraded(missing, found)
    return found


def _missing(found: Pipeline) -> str:
    absent = [name for name, available in found["processors"].items() if not available]
    integrity = found["scripts_integrity"]
    wrong = {
        _absent("scripts", settings.SCRIPTS_DIR): not found["scripts_ready"],
        _absent("models", settings.MODELS_DIR): not found["models_ready"],
        f"{integrity['total'] - integrity['matched']} of {integrity['total']} scripts differ from their checksums": (
            integrity["matched"] < integrity["total"]
        ),
        "no checksums of the scripts": integrity["total"] == 0 and settings.SCRIPTS_DIR is not None,
        f"no {', '.join(absent)}": bool(absent),
        "ffmpeg not found": not found["ffmpeg"],
    }
    return "; ".join(text for text, holds in wrong.items() if holds)


def _absent(name: str, folder: Path | None) -> str:
    return f"{name} folder not accessible" if folder else f"{name.upper()}_DIR is not set"


def is_accessible(folder: Path | None) -> bool:
    """Whether the folder is there and can be listed."""
    if folder is None:
        return False
    try:
        os.scandir(folder).close()
    except OSError:
        return False
    return True


def is_available(file: str) -> bool:
    """Whether a script can be read, or a binary run; a name without a folder is sought in SCRIPTS_DIR, then in PATH."""
    is_script = file.endswith(".py")
    path = Path(settings.SCRIPTS_DIR or "", file)
    if path.is_absolute() and path.is_file():
        return os.access(path, os.R_OK if is_script else os.X_OK)
    return not is_script and "/" not in file and shutil.which(file) is not None


def _scripts(folder: Path) -> Iterator[str]:
    for entry in _walk(folder):
        if entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
            yield entry.path


def _models(folder: Path) -> Iterator[str]:
    for entry in _walk(folder):
        name = entry.name.lower()
        # A link to a file counts: model caches keep the names as links beside nameless contents.
        if (name.endswith(MODEL_FOLDER) and entry.is_dir()) or (name.endswith(MODEL_KINDS) and entry.is_file()):
            yield entry.path


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below the folder, links not followed, and what is inside a model's own folder left out."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # one folder that cannot be read hides only itself
            continue
        yield from entries
        waiting += [
            entry.path
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.lower().endswith(MODEL_FOLDER)
        ]
