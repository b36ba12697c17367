"""`manage.py demo`: a sample platform on real servers, scanned and served."""

import os
from typing import Any

from django.core.management import CommandError, call_command
from django.db import connections

from common.commands import COULD_NOT_CHECK, USAGE
from config.demo import messages, published, sample_database
from config.demo.accounts import renew_administrator, renew_key
from config.demo.launch import Demo, DemoOptions, prepared_demo
from config.demo.process import ServerError, tail
from config.demo.progress import step
from config.demo.sample_contents import DEFAULT
from config.demo.sample_files import write_files
from config.demo.scans import record, scan_all
from config.demo.serving import start_web, watch
from consistency.registry import CHECKS


class Command(DemoOptions):
    """Load, scan and serve. config/demo/launch.py has started the servers before Django was loaded."""

    def run(self, *args: Any, **options: Any) -> None:
        demo = prepared_demo()
        if demo is None:
            raise CommandError("Start it as `manage.py demo`: its servers come before Django.", returncode=USAGE)
        history = _fill(demo)
        with step("Scanning", len(CHECKS)) as advance:
            report = scan_all(progress=lambda check: advance(1))
        with step("Recording the changes"):
            recorded = record()
        self._print(history)
        self._print(messages.scanned(report, recorded))
        owner = published.owner()
        if owner is not None and owner != os.getpid():
            self._print(messages.other_demo(owner))
        if demo.serve:
            self._serve(demo)
        else:
            self._print(["Nothing is served (--no-serve)."])

    def _serve(self, demo: Demo) -> None:
        password, (key, revoked) = renew_administrator(), renew_key()
        try:
            with step("Starting the web server, with a first round of probes"):
                web = start_web(demo)
        except ServerError as problem:
            raise CommandError(str(problem), returncode=COULD_NOT_CHECK) from problem
        demo.servers.append(web)
        self._print(messages.access(demo.url, password, key, revoked))
        connections.close_all()
        if not watch(web, demo.servers[:-1], self.stderr.write):
            log = demo.data / "web.log"
            raise CommandError(f"The web server has ended: {tail(log)} (log: {log})", returncode=COULD_NOT_CHECK)
        demo.stop()
        self._print(["Stopped."])

    def _print(self, lines: list[str]) -> None:
        self.stdout.write("\n".join(lines) + "\n")
        self.stdout.flush()


def _fill(demo: Demo) -> list[str]:
    """Fill the databases and folders that are empty. Return the message."""
    with step("Migrating"):
        if sample_database.has_foreign_data():
            raise CommandError(
                "DATABASE_URL names a database with data of its own, and the demo would load made-up data into it. "
                "Name an empty database, or unset DATABASE_URL.",
                returncode=USAGE,
            )
        call_command("migrate", verbosity=0, interactive=False)
    before = sample_database.loaded_files()
    files = before or demo.files or DEFAULT
    if before is None:
        with step(f"Loading {files:,} files", files) as advance:
            sample_database.load(files, advance)
    with step("Filling folders and Qdrant"):
        write_files(demo.platform)
        if demo.started("Qdrant"):
            sample_database.fill_collections()
    if before is not None:
        return messages.kept(before, demo.files, demo.data)
    with step("Recording an earlier state"), sample_database.earlier_state():
        record()
    return messages.loaded(files)
