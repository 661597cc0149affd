"""What accounts refuse, with a code that the pages translate and a text for the command line."""

from __future__ import annotations

from core.errors import TraylaneError


class AccountRefused(TraylaneError, ValueError):
    """A wish about accounts that cannot be granted as it is.

    Args:
        code: names the reason, for translation; see `app/pages/account_texts.py`.
        told: what, which, and what to do; never a secret.
    """

    exit_code = 2

    def __init__(self, code: str, told: str) -> None:
        self.code = code
        super().__init__(told)


class LoginRefused(TraylaneError, PermissionError):
    """Name and password do not fit, or the person is disabled: one answer for all, so that nobody learns which."""

    def __init__(self) -> None:
        super().__init__("name and password do not fit")


class TooManyTries(TraylaneError, PermissionError):
    """Too many wrong passwords from there; the password was not looked at.

    Args:
        wait_s: until the next try is looked at.
    """

    retryable = True

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many tries; wait {wait_s:.0f} s")
