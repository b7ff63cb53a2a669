"""The HTTP server: an ASGI app over the engine, and the process that serves it.

A request becomes an `exchange`, passes the `guard`, is given by `routes` to the handler of its `operation`, and so to the engine.
"""
