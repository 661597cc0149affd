"""The REST interface `/api/v1`: everything that the pages do, for programs.

Reading order: `operation.py` (what an operation is: one record says its path, its models and its handler),
`dispatch.py` (the road of every request: checks, repeated requests, entity tags), `document.py` (the OpenAPI document
is made from the same records, so it cannot say something else), then a file for each resource. Handlers are plain
functions `Call -> Reply`; what they use is in `services.py`. It knows no accounts: `app/guard.py` decides by endpoint
name (`api.NAME`). It imports what the app may import, and never torch.
"""
