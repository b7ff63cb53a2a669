"""The pure part: records, the state table, requests, views. No clock, socket, thread, database or random number."""
