"""Settings of a session, so that the exported bytes depend on the rows alone.

A server, a database or a role may set any of them to something else. They are local to the
transaction, because a pooler may run the next one in another server process. They are set by one
statement: each takes half a millisecond, and a small day takes 20.

Belongs here: every setting that changes a value, hides rows, or names things in another way.
Does not belong here: time limits that protect the server. `statement_timeout` of a role stays.

Not set: `lc_monetary`. Money is stored as a number of cents, yen or fils, so another locale would
change the amount. It is exported as a number, which has no currency and no separators (`types`).
"""

from __future__ import annotations

# Reasons that are not obvious:
#
# client_encoding: a server without an encoding cannot convert text, and one invalid byte would fail
# the whole batch. So the bytes are delivered unchanged, and each row is checked on arrival.
#
# search_path: if it names pg_catalog after another schema, functions of that schema replace the
# built-in ones of the same name. Without its name, pg_catalog is searched first.
#
# quote_all_identifiers: also changes names of tables that are compared with those of earlier days.
#
# gin_fuzzy_search_limit: with a limit, a search in an index leaves out some rows at random.
#
# lc_numeric, lc_time: for to_char() in a view or a query.
#
# row_security: `off` does not switch policies off. It makes a query fail that they would filter, as
# in pg_dump. With `on`, hidden rows would be missing without an error.
#
# client_connection_check_interval: without it, a server continues to sort for a client that was
# cancelled. PostgreSQL 14 and later, not on Windows.
SETTINGS = """
SELECT name, pg_catalog.set_config(name, setting, true) AS setting FROM (VALUES
    ('TimeZone', 'UTC'),
    ('timezone_abbreviations', 'Default'),
    ('DateStyle', 'ISO, YMD'),
    ('IntervalStyle', 'iso_8601'),
    ('bytea_output', 'hex'),
    ('xmlbinary', 'base64'),
    ('xmloption', 'content'),
    ('extra_float_digits', '1'),
    ('lc_numeric', 'C'),
    ('lc_time', 'C'),
    ('array_nulls', 'on'),
    ('transform_null_equals', 'off'),
    ('gin_fuzzy_search_limit', '0'),
    ('quote_all_identifiers', 'off'),
    ('lock_timeout', '{lock_timeout_ms}'),
    ('row_security', '{row_security}'),
    ('search_path', (SELECT CASE WHEN 'pg_catalog' = ANY (current_schemas(false)) THEN
            coalesce(string_agg(quote_ident(s), ', ' ORDER BY n)
                FILTER (WHERE s <> 'pg_catalog'), '')
            ELSE current_setting('search_path') END
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS path(s, n))),
    ('client_encoding', CASE current_setting('server_encoding')
        WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END),
    ('client_connection_check_interval', '10s')
) AS settings(name, setting)
WHERE name <> 'client_connection_check_interval'
    OR current_setting('server_version_num')::int >= 140000 AND version() !~ 'Visual C|mingw'
"""
