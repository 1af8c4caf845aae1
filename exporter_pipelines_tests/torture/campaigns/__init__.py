"""One module per campaign: a constant `PROMISE`, and `run(trial)`, which tries to break it.

The module's name is the campaign's name; its docstring says what is done to whom. Found, not
registered: a new file here is part of the next `make torture`.
"""
