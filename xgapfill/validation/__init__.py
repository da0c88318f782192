"""Is a filled field right, and does the method know when it is not?

`validate` hides, fills and scores; `masks` draws and keeps what is hidden; `scores` are numpy functions; `opponents` are
classical methods to compare with. The entry for users is ``da.gapfill.validate``.
"""
