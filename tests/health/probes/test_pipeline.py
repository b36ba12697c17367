"""The readiness of the pipeline on disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from health.probes.checksums import Digests
from health.probes.pipeline import Pipeline, inspect_pipeline, is_accessible, is_available
from health.registry import Degraded

PROCESSORS = {"asr": "asr_processor.py", "yolo": "yolo_processor.py"}


@pytest.fixture
def platform(tmp_path: Path, settings: Settings) -> Path:
    """Return a platform without any missing part."""
    scripts, models, binaries = tmp_path / "scripts", tmp_path / "models", tmp_path / "bin"
    for folder in (scripts / "helpers", models / "nested", binaries):
        folder.mkdir(parents=True)
    for name in (*PROCESSORS.values(), "helpers/one.py", "helpers/notes.txt"):
        (scripts / name).write_text(name)
    lines = [
        f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in (*PROCESSORS.values(), "helpers/one.py")
    ]
    (scripts / "checksums.sha256").write_text("".join(lines))
    (models / "a.gguf").touch()
    ffmpeg = binaries / "ffmpeg"
    ffmpeg.touch(mode=0o755)
    settings.SCRIPTS_DIR, settings.MODELS_DIR, settings.FFMPEG = scripts, models, str(ffmpeg)
    settings.PIPELINE_PROCESSORS = PROCESSORS
    return tmp_path


def found() -> Pipeline:
    """Return the section, whether or not a part is missing."""
    try:
        return inspect_pipeline(Digests())
    except Degraded as outcome:
        value: Pipeline = outcome.value  # type: ignore[assignment]
        return value


def test_all_is_in_place(platform: Path) -> None:
    assert inspect_pipeline(Digests()) == {
        "scripts_ready": True,
        "scripts_count": 3,
        "processors": {"asr": True, "yolo": True},
        "models_ready": True,
        "models_count": 1,
        "scripts_integrity": {"matched": 3, "total": 3, "ok": True},
        "ffmpeg": True,
    }


def test_an_unset_folder_is_not_ready(settings: Settings) -> None:
    settings.SCRIPTS_DIR = settings.MODELS_DIR = None
    settings.FFMPEG = "no-such-ffmpeg"
    settings.PIPELINE_PROCESSORS = PROCESSORS
    assert found() == {
        "scripts_ready": False,
        "scripts_count": 0,
        "processors": {"asr": False, "yolo": False},
        "models_ready": False,
        "models_count": 0,
        "scripts_integrity": {"matched": 0, "total": 0, "ok": False},
        "ffmpeg": False,
    }


def test_folders_that_are_gone_are_not_ready(platform: Path, settings: Settings) -> None:
    settings.SCRIPTS_DIR, settings.MODELS_DIR = platform / "nowhere", platform / "scripts" / "checksums.sha256"
    assert (found()["scripts_ready"], found()["models_ready"]) == (False, False)
    assert (found()["scripts_count"], found()["models_count"]) == (0, 0)


def test_a_script_that_differs_is_said_in_the_reason(platform: Path) -> None:
    (platform / "scripts/helpers/one.py").write_text("edited on the server")
    with pytest.raises(Degraded, match=r"^1 of 3 scripts differ from their checksums$"):
        inspect_pipeline(Digests())
    assert found()["scripts_integrity"] == {"matched": 2, "total": 3, "ok": False}


def test_files_beside_the_manifest_are_ignored_by_integrity(platform: Path) -> None:
    (platform / "scripts/extra.py").write_text("new")
    assert found()["scripts_integrity"]["ok"]
    assert found()["scripts_count"] == 4


def test_scripts_are_regular_files_and_links_to_regular_files(platform: Path) -> None:
    scripts = platform / "scripts"
    (scripts / "link.py").symlink_to("asr_processor.py")
    (scripts / "circle").symlink_to(scripts)
    (scripts / "folder.py").mkdir()
    (scripts / "UPPER.PY").touch()
    (scripts / os.fsdecode(b"\xff.py")).touch()
    assert found()["scripts_count"] == 5


@pytest.mark.parametrize(
    ("create", "counts"),
    [
        (lambda path: path.symlink_to("helpers/one.py"), 1),
        (lambda path: path.symlink_to("nowhere.py"), 0),
        (lambda path: path.symlink_to(path.name), 0),
        (os.mkfifo, 0),
        (Path.mkdir, 0),
    ],
    ids=["link", "dangling link", "circle", "FIFO", "folder"],
)
def test_an_entry_counts_the_same_in_the_number_of_scripts_and_in_integrity(
    platform: Path, create: Callable[[Path], None], counts: int
) -> None:
    create(platform / "scripts/new.py")
    with (platform / "scripts/checksums.sha256").open("a") as manifest:
        manifest.write(f"{hashlib.sha256(b'helpers/one.py').hexdigest()}  new.py\n")
    value = found()
    assert (value["scripts_count"], value["scripts_integrity"]["matched"]) == (3 + counts, 3 + counts)


@pytest.mark.parametrize("name", ["a.gguf", "b.pt", "c.pth", "d.bin", "e.onnx", "f.safetensors", "G.ONNX"])
def test_each_kind_of_model_counts(platform: Path, name: str) -> None:
    (platform / "models/a.gguf").unlink()
    (platform / "models/nested" / name).touch()
    assert found()["models_count"] == 1


@pytest.mark.parametrize("name", ["a.txt", "gguf", "a.gguf.part", "a.py"])
def test_other_files_are_no_models(platform: Path, name: str) -> None:
    (platform / "models" / name).touch()
    assert found()["models_count"] == 1


def test_a_model_folder_counts_once_whatever_is_in_it(platform: Path) -> None:
    package = platform / "models/face.mlpackage"
    (package / "Data").mkdir(parents=True)
    (package / "Data/weights.bin").touch()
    (platform / "models/file.mlpackage").touch()
    assert found()["models_count"] == 2


def test_a_link_to_a_model_counts_and_a_dangling_one_does_not(platform: Path) -> None:
    models = platform / "models"
    (models / "blob").touch()
    (models / "named.onnx").symlink_to("blob")
    (models / "lost.onnx").symlink_to("nowhere")
    assert found()["models_count"] == 2


def test_a_processor_is_its_script(platform: Path) -> None:
    (platform / "scripts/asr_processor.py").unlink()
    assert found()["processors"] == {"asr": False, "yolo": True}
    (platform / "scripts/asr_processor.py").mkdir()
    assert found()["processors"] == {"asr": False, "yolo": True}


def test_a_processor_may_be_a_binary(platform: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = platform / "bin/whisper"
    binary.touch(mode=0o755)
    assert is_available(str(binary))
    assert not is_available("whisper")
    monkeypatch.setenv("PATH", str(binary.parent))
    assert is_available("whisper")
    binary.chmod(0o644)
    assert not is_available(str(binary))
    assert not is_available("nowhere/whisper")


def test_a_binary_needs_no_scripts_folder(platform: Path, settings: Settings) -> None:
    settings.SCRIPTS_DIR = None
    assert is_available(settings.FFMPEG)
    assert not is_available("asr_processor.py")


def test_accessible_is_a_folder_that_can_be_listed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_accessible(tmp_path)
    assert not is_accessible(tmp_path / "file")
    assert not is_accessible(tmp_path / "nowhere")
    assert not is_accessible(None)
