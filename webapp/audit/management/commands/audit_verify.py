"""`manage.py audit_verify`: check that no entry of the audit log was changed, removed or put in between."""

import re
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.audit.chain import verify


class Command(BaseCommand):
    help = "Check the audit log's chain of hashes. Ends with an error where it is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect", metavar="NUMBER:SHA256", help="an entry that this command printed earlier; it must be the same"
        )

    def handle(self, *_: Any, expect: str | None, **__: Any) -> None:
        chain = verify(_expected(expect) if expect else None)
        if chain.problem:
            raise CommandError(f"The audit log is broken. {chain.problem}")
        if not chain.num_entries:
            self.stdout.write("The audit log is empty.")
            return
        self.stdout.write(f"The audit log is whole: {chain.num_entries:,} entries, each tied to the one before it.")
        if not chain.is_end_recorded:
            self.stdout.write("The data folder has no record of entries, so missing newest ones might go unnoticed.")
        self.stdout.write(f"The newest entry, to note elsewhere: {chain.newest}:{chain.newest_sha256}")


def _expected(text: str) -> tuple[int, str]:
    found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text)
    if found is None:
        raise CommandError(f"--expect {text[:100]}: give NUMBER:SHA256 as this command prints it.")
    return int(found[1]), found[2]
