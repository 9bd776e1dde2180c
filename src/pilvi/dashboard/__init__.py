"""The dashboard: a web page that is only a client of the public APIs, with its user's token. OpenStack's counterpart: Horizon.

Its hard idea is the border between browser and cloud: the token stays on the server (`session.py`), a same-origin proxy adds it to what the
page asks of the APIs (`proxy.py`), and one stream tells the page what has changed (`events.py`), so that it reads again what it shows.
The page itself is `ui/` (Svelte, TypeScript), built by the launcher and served by `pages.py`.
"""
