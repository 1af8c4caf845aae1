"""`make torture`: campaigns that try hard to break the promises of docs/reliability.md.

Belongs here: the harness (`__main__`, `trial`, `promises`) and, in `campaigns/`, one small file per
campaign. Does not belong here: what `make test` runs; a defect that a campaign finds gets a fast
test of its own beside the others.
"""
