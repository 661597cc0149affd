"""docs/accounts.md tells the roles as they are."""

import re
from pathlib import Path

from app.permissions import ROLE_ACTIONS, Action, Role

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "accounts.md").read_text()


def test_the_table_of_roles_is_the_one_in_force():
    head = next(line for line in PAGE.splitlines() if line.startswith("| right |"))
    roles = [cell.strip() for cell in head.strip("|").split("|")][2:]
    assert roles == [str(role) for role in Role]
    told = {}
    for line in PAGE.splitlines():
        if found := re.match(r"\| `([a-z]+)` \|", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")][2:]
            told[found[1]] = {role for role, cell in zip(roles, cells, strict=True) if cell == "yes"}
    assert told == {str(a): {str(r) for r in Role if a in ROLE_ACTIONS[r]} for a in Action}
