"""Messages to the people who run the exports, without Dagster.

Belongs here: what a message says, who receives it, and what becomes of it while a receiver is
down. Does not belong here: what there is to tell; `orchestration.alerts` finds that.
"""
