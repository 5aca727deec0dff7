"""A report on this machine's own address: full-size pictures, and decisions that are on disk as soon as they are made.

`desk.py` keeps decisions, `sight.py` shows items, `guard.py` refuses strangers, `app.py` answers requests, and
`server.py` runs it all. The web library (Starlette with uvicorn, extra `serve`) is imported by the last two alone.
"""

from auditor.serving.server import serve

__all__ = ["serve"]
