"""The tables of packages that projects come from, as their migrations make them; the packages aren't needed for it.

``tests/importing`` has the packages themselves.
"""
