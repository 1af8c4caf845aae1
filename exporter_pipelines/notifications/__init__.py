"""Messages to the people who run the exports, without Dagster.

Belongs here: the text of messages, receivers, and storing messages while a receiver is down.
Does not belong here: finding problems; `orchestration.alerts` does that.
"""
