"""Passwords: argon2id; rules after NIST SP 800-63B (length, no composition, a deny list); equal work for every name."""

from __future__ import annotations

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from app.accounts.errors import AccountRefused

SHORTEST = 10
LONGEST = 256
#: Letters that nobody mistakes for another when they are read from a screen.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
#: The most common ones that are long enough (after lists of leaked passwords), without spaces, digits at the end cut.
_DENIED = frozenset(
    """
    1234567890 0123456789 12345678910 0987654321 9876543210 1q2w3e4r5t 1qaz2wsx3edc qwertyuiop qwertzuiop asdfghjkl
    qwerty12345 1234567890qwerty password passwort kennwort letmein welcome willkommen administrator changeme
    iloveyou ichliebedich sunshine princess football fussball baseball superman batman starwars schalke bayern
    computer internet whatever trustno traylane canteen cashier kantine kasse mensa default secret geheim testtest
    masterkey hallohallo passwordpassword abcdefghij abcdefghijk qazwsxedcr zaq12wsxcde3 adminadmin rootroot
    changethis letmeinnow nopassword mypassword monkeymonkey dragondragon
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)


class Passwords:
    """Hashes and checks passwords.

    Args:
        hasher: its cost; by default 64 MiB, three passes, one thread (a fifth of a second).
        at_once: how many may be worked on at the same time: the lanes need the processor, too.
    """

    def __init__(self, hasher: PasswordHasher | None = None, at_once: int = 2) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1)
        self._turn = threading.BoundedSemaphore(at_once)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """Return the argon2id hash of a password, with its salt and cost."""
        with self._turn:
            return self._hasher.hash(_normal(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Return whether a password is the one that was hashed.

        Args:
            stored: the hash; None for people who have none or do not exist, which takes as long and never fits.
            password: as given.
        """
        with self._turn:
            if stored is None:
                if self._nobody is None:
                    self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
                self._verify(self._nobody, password)
                return False
            return self._verify(stored, password)

    def is_old(self, stored: str) -> bool:
        """Return whether a hash was made with another cost, and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        # A longer one was never accepted: not worth the work, and its length says nothing about the name.
        given = _normal(password[:LONGEST])
        try:
            return self._hasher.verify(stored, given) and len(password) <= LONGEST
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False


def check_new(password: str, name: str) -> None:
    """Check a password that a person wants.

    Raises:
        AccountRefused: too short, too long, or easily guessed.
    """
    normal = _normal(password)
    if len(normal) < SHORTEST:
        raise AccountRefused("password-short", f"the password is too short; give {SHORTEST} characters at least")
    if len(password) > LONGEST:
        raise AccountRefused("password-long", f"the password is too long; give {LONGEST} characters at most")
    squeezed = "".join(normal.casefold().split())
    bare = squeezed.rstrip("0123456789!?.-_#$")
    own = name.casefold()
    guessed = (
        squeezed in _DENIED
        or bare in _DENIED
        or len(set(squeezed)) < 4
        or (len(own) >= 3 and squeezed.replace(own, "") == "")
        or (len(own) >= 3 and bare == own)
    )
    if guessed:
        raise AccountRefused("password-guessed", "the password is easily guessed; take a few words that do not belong")


def make_password() -> str:
    """Return a password that is read from a screen once: four groups of five letters, 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


def _normal(password: str) -> str:
    """Return the one spelling of a password that keyboards may send in several."""
    return unicodedata.normalize("NFKC", password)
