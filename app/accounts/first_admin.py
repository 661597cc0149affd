"""The first admin of a site: made when there are no people yet; the password is printed once, and never logged."""

from __future__ import annotations

from typing import TextIO

from app.accounts.accounts import Accounts
from app.accounts.person import Person, Via
from app.permissions import Action


def announce_first_admin(accounts: Accounts, out: TextIO) -> None:
    """Make the first admin if there are no people, and print the password to `out`.

    The password must be changed at the first log-in, so that what a service manager kept of the output is worth nothing
    afterwards.
    """
    starter = Person("", "traylane", frozenset(), frozenset(Action), None, via=Via.TERMINAL)
    password = accounts.people.make_first_admin(starter)
    if password is None:
        return
    rule = "-" * 72
    print(
        f"{rule}\nThe first admin was made. This is shown once; change it at the first log-in.\n"
        f"    name:     admin\n    password: {password}\n"
        f"Lost it? `traylane users passwd admin` sets another one.\n{rule}",
        file=out,
        flush=True,
    )
