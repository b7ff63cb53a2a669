"""The HTTP server: an ASGI app over the engine, and the process that serves it.

`app` composes it: `exchange` (what every answer carries) > `guard` (who may call) > `operations` (the contract's routes) > engine.
"""
