"""The only package that imports Dagster's private modules; `test_ladder` enforces it.

A piece also belongs here when it needs a name that Dagster documents nowhere, such as an attribute
of the instance or the text of an error. Each module has three lines:

    Reason: why the public API is not enough.
    Upstream: the issue at github.com/dagster-io/dagster, or `none found`.
    Test: the test that fails when Dagster changes the private part.
"""
