"""Pseudonyms and the search for identifiers, in memory: pure functions of rows, policy and key.

Belongs here: ciphers and tokens, what an identifier looks like, applying a policy to a batch.
Does not belong here: the settings of a policy (`contracts.privacy`), reading rows or writing files
(`engine`).
"""
