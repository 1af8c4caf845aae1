"""The only package that imports Dagster's private modules; `test_ladder` enforces it.

Each module states why the public API is not enough, the upstream issue where there is one, and the
test that fails when Dagster changes the private part.
"""
