"""Exports in a bucket: Amazon S3 and compatible stores, Google Cloud Storage, Azure Blob Storage.

A bucket has no locks and no rename. A day is published by one conditional write of a small object,
its pointer (`pointers`); everything that a pointer names is written before and never changed.
`keys` has the names of all objects. `docs/object-stores.md` explains the protocol.

Needs the extra `cloud`, which has the package `obstore`.
"""
