"""Password rules and hashes: real argon2id, at the least cost."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from app.accounts.errors import AccountRefused
from app.accounts.passwords import LONGEST, Passwords, check_new, make_password
from tests.accounts import CHEAP


class Counting(PasswordHasher):
    """Counts how often a password is worked on."""

    checks = 0

    def verify(self, stored, password):
        self.checks += 1
        return super().verify(stored, password)


@pytest.mark.parametrize("good", ["four blue spoons", "Größe-der-Tasse", "x9$kQ2!vPz", "ein Löffel 🥄 Suppe"])
def test_long_enough_is_good_whatever_it_is_made_of(good):
    check_new(good, "ann")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("tea spoon", "password-short"),
        ("123456789", "password-short"),
        ("1234567890", "password-guessed"),
        ("Password2024!", "password-guessed"),
        ("aaaaaaaaaaaaaa", "password-guessed"),
        ("ann-marie1234", "password-guessed"),
        ("ann-marieann-marie", "password-guessed"),
        ("q w e r t y u i o p", "password-guessed"),
        ("x" * (LONGEST + 1), "password-long"),
    ],
)
def test_short_or_easily_guessed_is_refused_and_never_repeated(bad, code):
    with pytest.raises(AccountRefused) as refused:
        check_new(bad, "ann-marie")
    assert refused.value.code == code
    assert bad not in str(refused.value)


def test_made_passwords_are_good_and_different():
    made = {make_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        check_new(password, "ann")


def test_only_the_same_password_fits_however_the_keyboard_spells_it():
    passwords = Passwords(CHEAP)
    stored = passwords.hash("Größe der Tasse")
    assert stored.startswith("$argon2id$")
    assert passwords.fits(stored, "Gro\u0308ße der Tasse")
    assert not passwords.fits(stored, "Größe der tasse")
    assert not passwords.fits(stored, "Größe der Tasse" + "x" * LONGEST)
    assert not passwords.fits("not a hash", "Größe der Tasse")
    assert not passwords.fits(stored, "")


def test_an_unknown_name_takes_the_same_work():
    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    stored = passwords.hash("four blue spoons")
    for hashed in (stored, None, None):
        passwords.fits(hashed, "guess guess guess")
    assert hasher.checks == 3
    assert not passwords.fits(None, "guess guess guess")


def test_a_hash_of_an_older_cost_is_told():
    old = Passwords(CHEAP).hash("four blue spoons")
    dearer = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert dearer.is_old(old)
    assert dearer.fits(old, "four blue spoons")
    assert not dearer.is_old(dearer.hash("four blue spoons"))
