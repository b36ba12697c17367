"""`manage.py demo` as a user runs it: a process, on servers of its own, that leaves nothing behind."""

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from django.contrib.auth.models import User
from rest_framework_api_key.models import APIKey

from config.demo import accounts, messages, sample_contents, sample_database
from config.demo.process import until
from config.environment import demo_file
from tests.config.demos import FILES, Served, manage, serve
from tests.processes import all_gone
from tests.servers import Shared


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Return the data folder and the output of an ended demo. Other users cannot enter the parent folder."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    done = manage("demo", "--data", folder / "data", "--files", FILES, "--no-serve", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    yield folder, done.stdout
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]


@pytest.fixture(scope="module")
def start(loaded: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Serve copies of the data. Kill the demos that still run at the end."""
    started: list[Served] = []

    def copy_and_serve(*options: object) -> Served:
        folder = tmp_path_factory.mktemp("served")
        subprocess.run(["cp", "-a", loaded[0] / "data", folder / "data"], check=True)
        script = folder / "data/platform/scripts/asr_processor.py"
        script.write_text("# edited by hand\n")
        started.append(serve(folder, *options))
        return started[-1]

    yield copy_and_serve
    for served in started:
        served.process.kill()
        served.process.wait()


@pytest.fixture(scope="module")
def served(start: Callable[..., Served]) -> Iterator[Served]:
    """Return a demo for tests that leave the demo running. At the end two signals stop the demo."""
    served = start("--files", FILES + 1)
    yield served
    tree = served.tree()
    served.process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0
    assert all_gone(tree)
    assert served.err == ""
    assert served.out.endswith("\nStopped.\n")
    assert not (served.folder / "demo.json").exists()


# --- What it loads ---------------------------------------------------------------------------------------
def test_it_has_every_kind_of_file_whatever_the_size() -> None:
    for files in (*range(sample_contents.MINIMUM, 300), sample_contents.DEFAULT, 123_456):
        counts = [count for _, count in sample_contents.composition(files)]
        assert sum(counts) == files
        assert min(counts) >= 1


def test_it_finds_exactly_what_it_says_it_has_put_there(loaded: tuple[Path, str]) -> None:
    announced, _, found = loaded[1].partition("The scan found")
    assert f"{FILES} files" in announced
    on_purpose = {check: int(count) for count, check in re.findall(r"^ +(\d+)  (\w+)$", announced, re.MULTILINE)}
    scanned = {check: int(count) for count, check in re.findall(r"^ +(\d+)  \w+ +(\w+)  ", found, re.MULTILINE)}
    # A Counter counts a check without findings as 0.
    assert Counter(on_purpose) == Counter(scanned) == sample_contents.expected_counts(FILES)
    assert "Nothing is served" in found
    ((new, resolved),) = re.findall(r"^Recorded a scan of .*: (\d+) new, 0 returned, (\d+) resolved$", found, re.M)
    assert 0 < int(new) < sum(on_purpose.values())
    assert int(resolved) == 2 * sample_database.REPAIRED  # each broke two checks
    assert not re.search("password|api.key", loaded[1], re.IGNORECASE), "nothing is there to take them"


# --- While it runs ---------------------------------------------------------------------------------------
def test_it_answers_with_the_printed_key_and_no_other(served: Served) -> None:
    assert served.get("/health/ready")[0] == 200
    status, report = served.get("/health/consistency", served.key)
    assert status == 200
    expected = sample_contents.expected_counts(FILES)
    assert {entry["check"]: entry["count"] for entry in report["checks"]} == {
        entry["check"]: expected[entry["check"]] for entry in report["checks"]
    }
    assert served.get("/health/consistency", f"{served.key}x")[0] == 401


@pytest.mark.django_db
def test_it_revokes_the_key_and_the_password_of_the_last_run() -> None:
    password, (key, revoked) = accounts.renew_administrator(), accounts.renew_key()
    assert (revoked, APIKey.objects.is_valid(key)) == (0, True)
    new, (second, revoked) = accounts.renew_administrator(), accounts.renew_key()
    assert (revoked, APIKey.objects.is_valid(key), APIKey.objects.is_valid(second)) == (1, False, True)
    administrator = User.objects.get(username="admin")
    assert (administrator.check_password(password), administrator.check_password(new)) == (False, True)
    assert "the last run are no longer valid" in "\n".join(messages.access("", new, second, revoked))
    assert "the last run" not in "\n".join(messages.access("", new, second, 0))


def test_it_keeps_data_and_says_how_to_start_afresh(served: Served) -> None:
    assert f"Kept the sample platform of {FILES} files" in served.out
    assert "of the 4 default checks, compared with the scan before: 0 new, 0 returned, 0 resolved" in served.out
    assert f"--files {FILES + 1} changes nothing: to start afresh, remove {served.folder}/data" in served.out


def test_it_reports_the_sample_platform_as_it_was_left(served: Served) -> None:
    status, report = served.get("/health/detailed?fresh=1", served.key)
    assert status == 200
    assert {name: service["status"] for name, service in report["services"].items()} == {
        "postgres": "ok",
        "redis": "ok",
        "qdrant": "ok",
    }
    assert all(report["pipeline"]["processors"].values())
    integrity = report["pipeline"]["scripts_integrity"]
    assert (
        integrity["total"] - integrity["matched"] == sample_contents.CHANGED_SCRIPTS + 1
    )  # and the one edited by hand
    assert report["schema"]["ok"]
    assert report["config"] == {"cache": True, "auto_pipeline": False, "watcher": True}


def test_it_lets_the_printed_administrator_sign_in(served: Served) -> None:
    (password,) = re.findall(r"^Password +(\S+)$", served.out, re.MULTILINE)
    body = json.dumps({"username": "admin", "password": password}).encode()
    request = urllib.request.Request(
        f"{served.address}/api/v1/auth/token", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "access" in json.load(answer)


def test_it_is_found_by_other_commands(served: Served) -> None:
    done = manage("check_consistency", "--format", "json", folder=served.folder)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["checks"][0]["count"] == sample_contents.expected_counts(FILES)["stale_processing"]


def test_it_tells_its_secrets_to_its_own_user_only(served: Served) -> None:
    published = served.folder / "demo.json"
    assert published.stat().st_mode & 0o777 == 0o600
    variables = json.loads(published.read_text())["environment"]
    secrets = [variables["SECRET_KEY"], variables["QDRANT_API_KEY"]]
    secrets += [re.split("[:@]", variables[name])[2] for name in ("DATABASE_URL", "REDIS_URL")]
    command_lines = " ".join(word for process in served.tree() for word in process.cmdline())
    assert "granian" in command_lines
    assert not [secret for secret in secrets if secret in command_lines]


@pytest.mark.parametrize("serve", [True, False])
def test_it_refuses_a_second_demo_on_the_same_data(served: Served, serve: bool) -> None:
    port = served.address.rpartition(":")[2]  # taken too, but not the reason
    options = ("--port", port) if serve else ("--no-serve",)
    done = manage("demo", "--data", served.folder / "data", *options, folder=served.folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("A demo is running on ")
    assert len(done.stderr.splitlines()) == 1
    assert running_in(served) == served.process.pid


def test_it_leaves_other_commands_to_the_demo_that_was_there(served: Served, tmp_path: Path) -> None:
    done = manage("demo", "--data", tmp_path / "data", "--files", FILES, "--no-serve", folder=served.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"go on using the demo that was started before (process {served.process.pid})." in done.stdout
    assert "go on using" not in served.out
    assert running_in(served) == served.process.pid


def running_in(served: Served) -> int:
    """Return the process whose servers other commands use."""
    return int(json.loads((served.folder / "demo.json").read_text())["pid"])


def test_it_goes_on_when_a_worker_is_killed(served: Served) -> None:
    granian = served.server("granian")
    first = {worker.pid for worker in granian.children()}
    assert len(first) == 2
    victim = min(first)
    psutil.Process(victim).kill()
    assert any(_workers(granian) - first and len(_workers(granian)) == 2 for _ in until(60, step=0.2))
    assert any(_answers(served) for _ in until(20, step=0.1))
    assert granian.is_running()
    assert served.process.poll() is None


def _workers(granian: psutil.Process) -> set[int]:
    return {child.pid for child in granian.children() if child.status() != psutil.STATUS_ZOMBIE}


def _answers(served: Served) -> bool:
    with suppress(OSError):  # requests of the dead worker
        return all(served.get("/health")[0] == 200 for _ in range(8))
    return False


def test_it_refuses_a_taken_port_before_it_does_anything(served: Served, tmp_path: Path) -> None:
    port = served.address.rpartition(":")[2]
    done = manage("demo", "--data", tmp_path / "new", "--port", port, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"Port {port} on \S+ cannot be used \(.+\)\. Choose another with --port\.\n", done.stderr)
    assert not (tmp_path / "new").exists()


# --- What it refuses -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--files", "0", "50 files or more"),
        ("--files", "x", "not a whole number"),
        ("--port", "65536", "1 to 65535"),
        ("--port", "٨٠٠٠", "not a whole number"),
        ("--files", "٨٠٠", "not a whole number"),
        ("extra", "words", "unrecognized arguments: extra words"),
    ],
)
def test_it_says_what_an_option_takes(option: str, value: str, words: str, tmp_path: Path) -> None:
    done = manage("demo", "--data", tmp_path / "new", option, value, folder=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "new").exists()


def test_it_loads_nothing_into_a_database_with_data_of_its_own(postgres_server: Shared, tmp_path: Path) -> None:
    url = postgres_server.url.rpartition("/")[0] + "/demo_foreign"
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS demo_foreign")
        connection.execute("CREATE DATABASE demo_foreign")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE files AS SELECT 'a' AS file_uuid")
    done = manage("demo", "--data", tmp_path / "data", "--no-serve", folder=tmp_path, DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "DATABASE_URL names a database with data of its own" in done.stderr
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (1,)


# --- How it ends -----------------------------------------------------------------------------------------
def test_it_leaves_nothing_running_when_it_is_killed(start: Callable[..., Served]) -> None:
    served = start()
    tree = served.tree()
    assert len(tree) > 8
    served.process.kill()
    assert all_gone(tree)
    assert demo_file() != served.folder / "demo.json"
    done = manage("check_consistency", folder=served.folder)
    assert done.returncode == 2  # no command uses the addresses of the dead demo
    assert "SECRET_KEY is not set" in done.stderr


def test_it_tells_of_a_killed_postgres_goes_on_and_ends_with_the_web_server(start: Callable[..., Served]) -> None:
    served = start()
    tree = served.tree()
    served.server("postgres").kill()
    told = any("PostgreSQL (process" in served.err for _ in until(20, step=0.1))
    assert told
    degraded = any(served.get("/health")[1]["status"] == "degraded" for _ in until(20, step=0.2))
    assert degraded
    served.server("granian").kill()
    assert served.process.wait(60) == 3
    assert all_gone(tree)
    first, second = served.err.splitlines()
    assert first.startswith("PostgreSQL")
    assert "The web server has ended" in second
