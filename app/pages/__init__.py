"""The pages for people: one module and one Flask blueprint a page, one template each on `templates/layout.html`.

`docs/pages.md` tells how a page is added. A module has one function that takes what the page shows (`Site`, accounts)
and returns its blueprint; `app/web.py` registers it, `app/permissions.py` says who may open it. JSON for machines is
not here. Nothing below `app` may import it.
"""
