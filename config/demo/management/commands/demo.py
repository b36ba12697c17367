"""`manage.py demo`: a sample platform on real servers, scanned and served."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from django.core.management import CommandError, call_command

from config.demo import credentials, disk, launch, past, plan, platform, running, words
from config.demo.launch import NOT_POSSIBLE, USAGE, Demo, Options
from config.demo.process import tail
from config.demo.serving import start_web, watch
from config.demo.steps import Steps
from consistency.history.recorder import Recorded, look, scan_and_record
from consistency.registry import CHECKS
from consistency.scan.report import Report
from consistency.scan.selection import chosen

SCAN_SECONDS = 60.0


class Command(Options):
    """Fill, scan, tell, serve. The servers were started before Django was loaded (config/demo/launch.py)."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to end; whatever goes wrong is one line (--traceback shows more)."""
        demo = launch.current()
        if demo is None:
            raise CommandError("Start it as `manage.py demo`: its servers come before Django.", returncode=USAGE)
        try:
            self._run(demo)
        except CommandError:
            raise
        except BrokenPipeError:  # whoever read our output has left; nor shall the interpreter try to write the rest
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as problem:
            reason = " ".join(str(problem).split())
            raise CommandError(f"The demo failed: {reason}", returncode=NOT_POSSIBLE) from problem

    def _run(self, demo: Demo) -> None:
        with Steps() as steps:
            history = _fill(demo, steps)
            report = _look(steps)
            recorded = _record(steps, "Recording what is new")
        self._tell(history, words.found(report, recorded))
        found = running.owner()
        if found is not None and found != os.getpid():
            self._tell(words.shadowed(found))
        if demo.serve:
            self._serve(demo)
        else:
            self._tell(["Nothing is served (--no-serve)."])

    def _serve(self, demo: Demo) -> None:
        password, (key, revoked) = credentials.renew_administrator(), credentials.renew_key()
        with Steps() as steps, steps.step("Starting the web server, with a first round of probes"):
            web = start_web(demo)
        demo.servers.append(web)
        self._tell(words.entrance(demo.url, password, key, revoked))
        if not watch(web, demo.servers[:-1], self._warn):
            log = demo.data / "web.log"
            raise CommandError(f"The web server has ended: {tail(log)} (log: {log})", returncode=NOT_POSSIBLE)
        demo.stop()
        self._tell(["Stopped."])

    def _tell(self, *paragraphs: Iterable[str]) -> None:
        for paragraph in paragraphs:
            self.stdout.write("\n".join(paragraph) + "\n")
        self.stdout.flush()

    def _warn(self, line: str) -> None:
        self.stderr.write(line)


def _fill(demo: Demo, steps: Steps) -> list[str]:
    """Bring the stores to what a demo needs, keeping what is there; returns what to say about it."""
    with steps.step("Migrating"):
        if platform.belongs_to_others():
            raise CommandError(
                "DATABASE_URL names a database with data of its own, and the demo would load made-up data into it. "
                "Name an empty database, or unset DATABASE_URL.",
                returncode=USAGE,
            )
        call_command("migrate", verbosity=0, interactive=False)
    before = platform.loaded()
    files = before or demo.files or plan.DEFAULT
    if before is None:
        with steps.step(f"Loading {files:,} files", files) as advance:
            platform.load(files, advance)
    with steps.step("Filling folders and Qdrant"):
        disk.write(demo.platform)
        if demo.started("Qdrant"):
            platform.fill_collections()
    if before is not None:
        return words.kept(before, demo.files, demo.data)
    with past.as_it_was():
        _record(steps, "Recording it as it was a moment before")
    return words.loaded(files)


def _look(steps: Steps) -> Report:
    """All checks there are, also those that nobody asks for by default: to say what was put there on purpose."""
    with steps.step("Scanning", len(CHECKS)) as advance:
        return look(list(CHECKS.values()), timeout=SCAN_SECONDS, progress=lambda check: advance(1))


def _record(steps: Steps, title: str) -> Recorded:
    """The checks that cron asks, remembered as cron's scan is."""
    with steps.step(title):
        return scan_and_record(chosen(), timeout=SCAN_SECONDS, confirm=0)
