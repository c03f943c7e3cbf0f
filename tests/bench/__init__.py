"""What things cost: ``python -m bench [names] [--small] [--rows N]``, from the folder ``tests``.

Each module with a ``run`` is one bench. They print ratios that were measured in one run, side by side; no number fails
a bench, since it says as much about the machine as about the code. What fails it is something done wrong: an exception,
or a count that isn't what it has to be.
"""
