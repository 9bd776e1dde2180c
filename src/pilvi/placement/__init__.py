"""Placement: who provides how much of what, and who has taken it.

Counterpart: OpenStack Placement. API: 1.0 to 1.39. Its hard idea: many claims at once and never one too many, while a search over ten
thousand hosts stays cheap. So writes go through one gate (`resources/gate.py`) and searches run over a snapshot in memory that reads only
what has changed since (`candidates/`).
"""
