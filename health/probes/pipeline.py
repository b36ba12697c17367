"""The readiness of the pipeline on disk: scripts and their checksums, processors, models, ffmpeg."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from django.conf import settings

from health.probes.checksums import Digests, ScriptsIntegrity, verify
from health.registry import Degraded

MODEL_SUFFIXES: Final = (".gguf", ".pt", ".pth", ".bin", ".onnx", ".safetensors")
MODEL_FOLDER_SUFFIX: Final = ".mlpackage"


class Pipeline(TypedDict):
    scripts_ready: bool
    scripts_count: int
    processors: dict[str, bool]
    models_ready: bool
    models_count: int
    scripts_integrity: ScriptsIntegrity
    ffmpeg: bool


def inspect_pipeline(digests: Digests) -> Pipeline:
    """Inspect the folders in the settings; an unset folder is not ready. Raise Degraded if a part is missing."""
    scripts, models = settings.SCRIPTS_DIR, settings.MODELS_DIR
    values: Pipeline = {
        "scripts_ready": is_accessible(scripts),
        "scripts_count": sum(map(_is_script, _walk(scripts))) if scripts else 0,
        "processors": {name: is_available(file) for name, file in settings.PIPELINE_PROCESSORS.items()},
        "models_ready": is_accessible(models),
        "models_count": sum(map(_is_model, _walk(models))) if models else 0,
        "scripts_integrity": verify(scripts, digests) if scripts else {"matched": 0, "total": 0, "ok": False},
        "ffmpeg": shutil.which(settings.FFMPEG) is not None,
    }
    if problems := "; ".join(_problems(values)):
        raise Degraded(problems, values)
    return values


def _problems(values: Pipeline) -> Iterator[str]:
    for name, folder in (("scripts", settings.SCRIPTS_DIR), ("models", settings.MODELS_DIR)):
        if not values[f"{name}_ready"]:  # type: ignore[literal-required]
            yield f"{name} folder not accessible" if folder else f"{name.upper()}_DIR is not set"
    integrity = values["scripts_integrity"]
    if different := integrity["total"] - integrity["matched"]:
        yield f"{different} of {integrity['total']} scripts differ from their checksums"
    if integrity["total"] == 0 and settings.SCRIPTS_DIR is not None:
        yield "no checksums of the scripts"
    if absent := [name for name, available in values["processors"].items() if not available]:
        yield f"no {', '.join(absent)}"
    if not values["ffmpeg"]:
        yield "ffmpeg not found"


def is_accessible(folder: Path | None) -> bool:
    """Return whether the folder can be listed."""
    if folder is None:
        return False
    try:
        os.scandir(folder).close()
    except OSError:
        return False
    return True


def is_available(file: str) -> bool:
    """Return whether a script can be read, or a binary run. A bare name is searched in SCRIPTS_DIR, then in PATH."""
    is_script = file.endswith(".py")
    path = Path(settings.SCRIPTS_DIR or "", file)
    if path.is_absolute() and path.is_file():
        return os.access(path, os.R_OK if is_script else os.X_OK)
    return not is_script and "/" not in file and shutil.which(file) is not None


def _is_script(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".py") and entry.is_file(follow_symlinks=False)


def _is_model(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    # A link to a file counts: model caches link names to files that are named by their digest.
    return (name.endswith(MODEL_FOLDER_SUFFIX) and entry.is_dir()) or (
        name.endswith(MODEL_SUFFIXES) and entry.is_file()
    )


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every entry below the folder, without following links or entering model folders."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # skip only the unreadable folder
            continue
        yield from entries
        waiting += [
            entry.path
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.lower().endswith(MODEL_FOLDER_SUFFIX)
        ]
