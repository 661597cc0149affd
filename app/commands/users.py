"""The verb `traylane users`: people, roles, passwords and tokens from the terminal; also the way back in."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.permissions import Action, Role
from core.errors import ConfigError

if TYPE_CHECKING:
    from app.accounts.accounts import Accounts
    from app.accounts.person import Person
    from store.accounts import PersonRow


def add(subparsers: Any) -> None:
    """Add the verb and its own verbs to the command line."""
    parser = subparsers.add_parser(
        "users",
        help="add, list, disable people; roles, passwords, tokens",
        description="People who may log in to the pages, and tokens of machines. Whoever runs this on the machine may "
        "do everything: it is also the way back in when the admin's password is lost.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _verb(verbs, "list", "all people with roles and lanes", _list)
    adding = _verb(verbs, "add", "add a person; the password is made and printed once, or asked for", _add)
    _names(adding)
    _access(adding, required=True)
    adding.add_argument("--no-password", action="store_true", help="no log-in with a password: for tokens, or SSO")
    adding.add_argument("--ask", action="store_true", help="ask for the password, instead of making one")
    passwd = _verb(verbs, "passwd", "a new password; all log-ins of that person end", _passwd)
    _names(passwd)
    passwd.add_argument("--ask", action="store_true", help="ask for the password, instead of making one")
    role = _verb(verbs, "role", "set roles, or lanes, or both", _role)
    _names(role)
    _access(role, required=False)
    _names(_verb(verbs, "disable", "keep a person out; log-ins and tokens end at once", _disable))
    _names(_verb(verbs, "enable", "let a disabled person in again", _enable))
    tokens = verbs.add_parser("token", help="make, list, revoke tokens of machines").add_subparsers(
        title="verbs", metavar="VERB", required=True
    )
    _verb(tokens, "list", "all tokens", _list_tokens)
    make = _verb(tokens, "make", "make a token; it is printed once", _make_token)
    _names(make)
    make.add_argument("--label", required=True, help="what it is for")
    make.add_argument(
        "--scope", action="append", required=True, choices=[str(action) for action in Action], help="a right; repeat"
    )
    make.add_argument("--lane", action="append", help="only this lane; repeat; all of the person's if left out")
    make.add_argument("--days", type=float, default=90, help="ends after so many days (90)")
    revoke = _verb(tokens, "revoke", "revoke a token at once", _revoke_token)
    revoke.add_argument("prefix", metavar="PREFIX", help="its first letters, as `token list` shows them")


def _verb(verbs: Any, name: str, told: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site's configuration (default: the shipped)")
    parser.set_defaults(run=run)
    return parser


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the person")


def _access(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--role", action="append", required=required, choices=[str(role) for role in Role], help="a role; repeat"
    )
    parser.add_argument("--lane", action="append", help="only this lane; repeat; all lanes if left out")
    if not required:
        parser.add_argument("--all-lanes", action="store_true", help="all lanes from now on")


@contextmanager
def _accounts(args: argparse.Namespace) -> Iterator[Accounts]:
    from app.accounts.accounts import make_accounts
    from checkout.build import DEFAULT_CONFIG
    from checkout.config import load_config
    from core.clock import SystemClock
    from store.engine import open_store

    site = load_config(args.config or DEFAULT_CONFIG).site
    store = open_store(site.store.url, SystemClock())
    try:
        yield make_accounts(store.accounts(), site.web)
    finally:
        store.close()


def _operator() -> Person:
    """Return who runs the command, for the audit."""
    from app.accounts.person import Person, Via

    return Person("", f"{getpass.getuser()} (terminal)", frozenset(), frozenset(Action), None, via=Via.TERMINAL)


def _named(accounts: Accounts, name: str) -> PersonRow:
    row = accounts.people.named(name)
    if row is None:
        people = ", ".join(other.name for other in accounts.people.all()) or "nobody yet"
        raise ConfigError(f"there is no person {name!r}; there are: {people}")
    return row


def _password(args: argparse.Namespace) -> tuple[str, bool]:
    """Return a password and whether it was made here and has to be shown."""
    from app.accounts.passwords import make_password

    if not args.ask:
        return make_password(), True
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n"), False
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise ConfigError("the two passwords do not agree; try again")
    return first, False


def _told_once(name: str, password: str) -> None:
    print(f"password of {name}: {password}\nIt is shown once, and has to be changed at the first log-in.")


def _list(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        for row in accounts.people.all():
            lanes = "all lanes" if row.lanes is None else ", ".join(sorted(row.lanes)) or "no lane"
            state = "disabled" if row.disabled_at_s is not None else "enabled"
            print(f"{row.name}\t{', '.join(sorted(row.roles)) or 'no role'}\t{lanes}\t{state}")
    return 0


def _add(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        password, made = (None, False) if args.no_password else _password(args)
        row = accounts.people.add(_operator(), args.name, [Role(role) for role in args.role], args.lane, password)
        if password is not None and made:
            _told_once(row.name, password)
        else:
            print(f"{row.name} was added")
    return 0


def _passwd(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        row = _named(accounts, args.name)
        password, made = _password(args)
        accounts.people.set_password(_operator(), row.person_id, password)
        if made:
            _told_once(row.name, password)
        else:
            print(f"{row.name} has a new password; all log-ins ended")
    return 0


def _role(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        row = _named(accounts, args.name)
        if not (args.role or args.lane or args.all_lanes):
            raise ConfigError("say what to set: --role, --lane or --all-lanes")
        roles = [Role(role) for role in args.role or sorted(row.roles)]
        lanes = None if args.all_lanes else args.lane or row.lanes
        changed = accounts.people.set_access(_operator(), row.person_id, roles, lanes)
        seen = "all lanes" if changed.lanes is None else ", ".join(sorted(changed.lanes))
        print(f"{changed.name}: {', '.join(sorted(changed.roles))}; {seen}")
    return 0


def _disable(args: argparse.Namespace) -> int:
    return _set_disabled(args, True)


def _enable(args: argparse.Namespace) -> int:
    return _set_disabled(args, False)


def _set_disabled(args: argparse.Namespace, disabled: bool) -> int:
    with _accounts(args) as accounts:
        row = accounts.people.set_disabled(_operator(), _named(accounts, args.name).person_id, disabled)
        print(f"{row.name} is {'disabled; all log-ins and tokens ended' if disabled else 'enabled'}")
    return 0


def _list_tokens(args: argparse.Namespace) -> int:
    import datetime

    with _accounts(args) as accounts:
        names = {row.person_id: row.name for row in accounts.people.all()}
        now_s = accounts.rows.clock.utc_s()
        for token in accounts.tokens.all():
            ends = datetime.datetime.fromtimestamp(token.expires_at_s, datetime.UTC).strftime("%Y-%m-%d")
            over = "revoked" if token.revoked_at_s else "over" if token.expires_at_s <= now_s else f"until {ends}"
            scopes = ", ".join(sorted(token.scopes))
            print(f"{token.prefix}…\t{token.label}\t{names.get(token.person_id, '?')}\t{scopes}\t{over}")
    return 0


def _make_token(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        owner, scopes = _named(accounts, args.name), [Action(scope) for scope in args.scope]
        made = accounts.tokens.make(_operator(), owner, args.label, scopes, args.days, args.lane)
        # Alone on its line of stdout, so that a script can take it.
        print(f"token of {owner.name}, shown once:", file=sys.stderr)
        print(made.token)
    return 0


def _revoke_token(args: argparse.Namespace) -> int:
    with _accounts(args) as accounts:
        prefix = args.prefix.rstrip("….")
        found = [t for t in accounts.tokens.all() if t.prefix.startswith(prefix) and t.revoked_at_s is None]
        if len(found) != 1:
            raise ConfigError(f"{len(found)} tokens in force start with {prefix!r}; give the letters of one")
        row = accounts.tokens.revoke(_operator(), found[0].token_id)
        print(f"{row.prefix}… is revoked")
    return 0
