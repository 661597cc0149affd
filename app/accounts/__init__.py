"""Accounts: people, what they may do and where, how they prove who they are, and what they changed.

Reading order: `person.py` (who somebody is to the rest of the program), `accounts.py` (all of it together),
`people.py`, `passwords.py`, `log_in.py`, `throttle.py`, `sessions.py`, `tokens.py`, `proxy.py` (single sign-on),
`audit.py`. Rows are read and written by `store/accounts.py`; which role may do what is `app/permissions.py`; requests
are `app/guard.py`'s. Nothing here may import Flask.
"""
