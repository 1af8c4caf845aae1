"""SQL templates for `inspection`, which fills the braces with quoted parts."""

# How a type is named: a built-in one by its bare name, any other with its schema. The extension
# citext counts as built-in, because its values are text.
_TYPE_NAME = """CASE WHEN n.nspname = 'pg_catalog'
        OR (t.typname = 'citext' AND t.typtype = 'b' AND t.typcategory = 'S') THEN t.typname::text
    WHEN t.typcategory = 'A' THEN '_' || n.nspname || '.' || substr(t.typname, 2)
    ELSE n.nspname || '.' || t.typname END"""
# A domain is shown as its base type, as in the columns of a result. Columns that the role may not
# read are left out.
RELATIONS = """
SELECT n.nspname AS schema, c.relname AS name, c.oid::text AS oid, c.relkind::text AS kind,
    pg_table_is_visible(c.oid) AS visible,
    has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') AS readable,
    (SELECT json_object_agg(a.attname, {type_name} ORDER BY a.attnum)::text
     FROM pg_attribute a JOIN pg_type d ON d.oid = a.atttypid
         JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
         JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND has_column_privilege(c.oid, a.attnum, 'SELECT')) AS types,
    (SELECT a.attname FROM pg_index i
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
         AND i.indnkeyatts = 1 AND a.attnotnull
         AND has_column_privilege(c.oid, a.attnum, 'SELECT')
         AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
     ORDER BY i.indisprimary DESC, a.attnum LIMIT 1) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {condition}
ORDER BY 1, 2 LIMIT 300
""".replace("{type_name}", _TYPE_NAME)
USER_TABLES = """
NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
SERVER = """
SELECT current_setting('server_version') AS version, current_database()::text AS database,
    current_user::text AS role
"""
INDEX = """
SELECT count(*) AS found
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {oid} AND i.indisvalid AND i.indpred IS NULL AND a.attname = {column}
  AND m.amname IN ('btree', 'brin')
"""
# A valid unique index on this column only, over all rows, on a column that is NOT NULL. An index of
# a parent table does not cover the rows of inheriting tables, unless they are its partitions.
# The export uses it too: the order and the count of repeated keys depend on it.
UNIQUE = """
SELECT count(*) AS found
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indnkeyatts = 1 AND a.attname = {column} AND a.attnotnull
  AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
"""
ANY = "SELECT {column}::float8 AS found FROM {table} WHERE {column} > 0 LIMIT 1"
REPEATED = """
SELECT EXISTS (SELECT FROM {table} GROUP BY {column} HAVING count(*) > 1) AS found
"""
# Written so that PostgreSQL can use an index on the column.
DAYLESS = """
SELECT count(*) AS found FROM (SELECT FROM {table} WHERE {column} IS NULL
    OR {column} < {low} OR {column} > {high} LIMIT 1000) AS rows
"""
SPAN = """
SELECT ({first} AT TIME ZONE {zone})::date::text AS first,
    ({last} AT TIME ZONE {zone})::date::text AS last, {last} > now() AS future
FROM (SELECT min({column}) AS first, max({column}) AS last FROM {table}
      WHERE {column} BETWEEN {low} AND {high}) AS span
"""
# The offsets of a zone from UTC, by the time zone data of the server.
OFFSETS = """
SELECT extract(epoch FROM (instant AT TIME ZONE {zone}) - (instant AT TIME ZONE 'UTC'))::int
    AS seconds
FROM unnest(ARRAY[{instants}]) WITH ORDINALITY AS t (instant, place) ORDER BY place
"""
# The times of the first rows, and whether they can be used.
FORMS = """
SELECT left(stored::text, 100) AS found, instant IS NULL AS unusable
FROM (SELECT stored, {instant} AS instant
      FROM (SELECT {inner} AS stored FROM {table} LIMIT {limit}) AS rows OFFSET 0) AS times
"""
# Text does not sort exactly like its instants, so each value is read; with OFFSET 0, once.
DAYLESS_TEXT = """
SELECT count(*) AS found FROM (SELECT FROM (SELECT {inner} AS stored FROM {table}) AS texts
    WHERE CASE WHEN stored IS NULL THEN NULL ELSE {instant} END IS NULL LIMIT 1000) AS rows
"""
SPAN_TEXT = """
SELECT (first AT TIME ZONE {zone})::date::text AS first,
    (last AT TIME ZONE {zone})::date::text AS last, last > now() AS future
FROM (SELECT min(instant) AS first, max(instant) AS last
      FROM (SELECT {instant} AS instant
            FROM (SELECT {inner} AS stored FROM {table} WHERE {column} IS NOT NULL) AS texts
            OFFSET 0) AS times) AS span
"""
POWERS = """
SELECT r.rolsuper AS superuser,
    has_table_privilege({oid}, 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes,
    row_security_active({oid}) AS hides,
    EXISTS (SELECT FROM pg_class c WHERE c.oid = {oid} AND NOT c.relispopulated) AS unfilled
FROM pg_roles r WHERE r.rolname = current_user
"""
# The table of a dataset as the search path resolves it.
RESOLVED = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}
"""
# The type of a column, of a domain its base type, in a form that SQL reads. LIMIT 0 reads no row.
TYPE = """
SELECT format('%I.%I', n.nspname, b.typname) AS name
FROM pg_type t
    JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    JOIN pg_namespace n ON n.oid = b.typnamespace
WHERE t.oid = pg_typeof((SELECT {column} FROM {table} AS t LIMIT 0))
"""
# The columns of a table, whether the role may read them, and whether their type can be sent.
COLUMNS = """
SELECT a.attname::text AS name, has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable,
    t.typsend <> 0 AS sendable
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
# Names that the driver may take for built-in types, but that are used by other types as well.
HOMONYMS = """
SELECT typname::text AS name FROM pg_type
WHERE typname = ANY({names}::text[]::name[]) AND typnamespace <> 'pg_catalog'::regnamespace
"""
# The types of columns c0, c1, ...: of a domain its base, of an array its elements, however nested.
# pg_typeof() of a missing row gives the type of a column of any query.
RESOLVED_TYPES = """
WITH RECURSIVE parts AS (
    SELECT name, type, '' AS prefix
    FROM (SELECT {typed} FROM (VALUES (1)) AS one
        LEFT JOIN (SELECT {columns} FROM {relation} AS t LIMIT 0) AS t ON true) AS given,
        LATERAL (VALUES {pairs}) AS pairs(name, type)
    UNION ALL
    SELECT p.name, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END,
        CASE t.typtype WHEN 'd' THEN p.prefix ELSE '_' END
    FROM parts p JOIN pg_type t ON t.oid = p.type
    WHERE t.typtype = 'd' OR (t.typelem <> 0 AND t.typlen = -1)
)
SELECT p.name AS column, p.prefix || CASE WHEN p.prefix <> '' AND t.typtype = 'c' THEN 'record'
    ELSE {type_name} END AS type,
    t.typtype IN ('e', 'r', 'm') OR EXISTS (SELECT FROM pg_opclass o JOIN pg_am a
        ON a.oid = o.opcmethod WHERE a.amname = 'btree' AND o.opcdefault AND o.opcintype = t.oid)
        AS ordered
FROM parts p JOIN pg_type t ON t.oid = p.type JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype <> 'd' AND NOT (t.typelem <> 0 AND t.typlen = -1)
""".replace("{type_name}", _TYPE_NAME)
# Relations that this transaction has read, and thereby locked, that were created or rewritten after
# its snapshot. The snapshot does not see their rows, so the day would look empty. pg_class shows
# the snapshot; pg_relation_filenode() shows the current catalog.
REWRITTEN = """
SELECT l.relation::regclass::text AS name
FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (c.oid IS NULL OR (c.relfilenode <> 0 AND c.relfilenode <> pg_relation_filenode(c.oid)))
ORDER BY 1 LIMIT 1
"""
