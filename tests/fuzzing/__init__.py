"""Random command lines: each trains and is finite through every verb, or is refused in a message.

`draw` makes a case of a seed and a number, `run` runs it as the command line would, and
`python -m tests.fuzzing` runs many.
"""
