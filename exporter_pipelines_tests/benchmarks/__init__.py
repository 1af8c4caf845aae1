"""How fast an export is, beside the limit and beside others, measured in one run.

    make bench                     the table of docs/figures.md, and build/bench.json
    make bench-scale               how cost and memory grow with rows and with days

Belongs here: the server and its rows, the candidates, measuring processes, tables.
Does not belong here: tests. `test_benchmarks` runs all of it with a few rows, so it cannot rot.
"""
