"""The readiness of the pipeline on disk: scripts and their checksums, processors, models, ffmpeg."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from django.conf import settings

from health.probes.checksums import ChecksumError, Digests, ScriptsIntegrity, verify
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
    integrity: ScriptsIntegrity = {"matched": 0, "total": 0, "ok": False}
    unread = "no checksums of the scripts"
    try:
        integrity = verify(scripts, digests) if scripts else integrity
    except ChecksumError as error:
        unread = str(error)
    values: Pipeline = {
        "scripts_ready": is_accessible(scripts),
        "scripts_count": _count_scripts(scripts) if scripts else 0,
        "processors": {name: is_available(file) for name, file in settings.PIPELINE_PROCESSORS.items()},
        "models_ready": is_accessible(models),
        "models_count": _count_models(models) if models else 0,
        "scripts_integrity": integrity,
        "ffmpeg": shutil.which(settings.FFMPEG) is not None,
    }
    if problems := "; ".join(_problems(values, unread)):
        raise Degraded(problems, values)
    return values


def _problems(values: Pipeline, unread: str) -> Iterator[str]:
    for name, folder in (("scripts", settings.SCRIPTS_DIR), ("models", settings.MODELS_DIR)):
        if not values[f"{name}_ready"]:  # type: ignore[literal-required]
            yield f"{name} folder not accessible" if folder else f"{name.upper()}_DIR is not set"
    integrity = values["scripts_integrity"]
    if different := integrity["total"] - integrity["matched"]:
        yield f"{different} of {integrity['total']} scripts differ from their checksums"
    if integrity["total"] == 0 and settings.SCRIPTS_DIR is not None:
        yield unread
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


def _count_scripts(folder: Path) -> int:
    paths = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    # Like the checksums, `isfile` accepts a link to a regular file.
    return sum(path.endswith(".py") and os.path.isfile(path) for path in paths)


def _count_models(folder: Path) -> int:
    count = 0
    for root, folders, names in os.walk(folder):
        packages = [name for name in folders if name.lower().endswith(MODEL_FOLDER_SUFFIX)]
        folders[:] = set(folders).difference(packages)  # os.walk does not enter a model folder
        # A link to a file counts: model caches link names to files that are named by their digest.
        models = (name for name in names if name.lower().endswith(MODEL_SUFFIXES))
        count += len(packages) + sum(os.path.isfile(os.path.join(root, name)) for name in models)
    return count
