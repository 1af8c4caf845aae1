"""The pages that people read: exports, documentation, cards and the login.

HTML that the service renders, with a style sheet and one small script. Nothing here decides what a
user may do: routes and `exports` do, and a page only says it in advance.
"""
