"""One table of mistakes in a `defs.yaml`, for everything that reads one."""

# ruff: noqa: E501 - one case per line

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines_tests.support.definitions import DEFS

SECRET = "s3cret"

_FORMAT = "  format: jsonl"
_FILTER = """  filters:
    - {name: debug, column: level, op: ne, value: DEBUG}
    - {name: severe, column: level, op: ge, value: 3}"""
_RULES = """  rules:
    - {name: a, sql: "true"}
    - {name: b, function: no.where}"""
_ALIAS_BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True))
)  # fmt: skip
_ROW = "exporter_pipelines.defs.logs.schema.LogRow"
_REFUSED = "exporter_pipelines_tests.support.refused_columns"
_EXITS = "exporter_pipelines_tests.support.exits_at_import"
_DATASET = "type: exporter_pipelines.components.DatasetExport\n"
_CRON = "is not a cron expression. Write five fields"


@dataclass(frozen=True)
class Broken:
    """A copy of a definition with one mistake.

    Attributes:
        name: Of its folder, and of its dataset unless the mistake is in the name.
        old: A text of the definition; empty when the whole file is replaced.
        new: What is there instead.
        line: Of the mistake.
        said: Part of the sentence.
        of: The definition that is copied.
    """

    name: str
    old: str
    new: str | bytes
    line: int
    said: str
    of: str = "logs"

    def write(self, defs: Path) -> Path:
        """Write the folder and return its file."""
        file = defs / self.name / "defs.yaml"
        file.parent.mkdir()
        text = (DEFS / self.of / "defs.yaml").read_text()
        if isinstance(self.new, bytes):
            file.write_bytes(self.new)
            return file
        assert self.old in text, f"{self.old!r} is not in {text}"
        text = text.replace(self.old, self.new) if self.old else self.new
        file.write_text(text.replace(f"name: {self.of}\n", f"name: {self.name}\n"))
        return file


BROKEN = [
    # The file as a whole
    Broken("bracket", "attributes:\n", "attributes: [\n", 6, "not valid YAML"),
    Broken("tabs", "  format: jsonl", "\tformat: jsonl", 21, "not valid YAML"),
    Broken("utf16", "", _DATASET.encode("utf-16"), 1, "the file is not UTF-8 text. Save it as"),
    Broken("latin1", "", b"type: x\n# caf\xe9\n", 2, "the file is not UTF-8 text. Save it as"),
    Broken("control", "format: jsonl", "format: js\x07onl", 21, "a control character"),
    Broken("levels", _FORMAT, f"  select: {'[' * 200}{']' * 200}", 21, "nested more than 50 levels"),
    Broken("no_end", _FORMAT, f"  select: {'[' * 50_000}", 21, "nested more than 50 levels deep."),
    Broken("odd_tag", "format: jsonl", f"format: !!bool {SECRET}", 1, "a value is not of the type"),
    Broken("ordered", "columns: {}", "columns: !!omap [a: b]", 15, "a tag such as !!set or !mine is"),
    Broken("pasted_key", _FORMAT, f"  privacy: {SECRET}", 21, "privacy: Input should be a valid dict"),
    Broken("half_character", "format: jsonl", 'format: "\\ud800"', 21, "half of a surrogate pair is no"),
    Broken("long_text", _ROW, "a." * 100_000, 7, "a text has 200,000 characters; the limit is 20,000."),
    Broken("many_values", _FORMAT, f"  select: [{'id, ' * 30_000}]", 21, "has more than 20,000 values"),
    Broken("many_documents", "", "---\n" * 5000, 101, "the file has more than 100 documents."),
    Broken("no_documents", "", "# nothing\n", 1, "the file is empty."),
    Broken("no_settings", "", "just text\n", 1, "the document has no settings."),
    Broken("alias_bomb", "attributes:\n", _ALIAS_BOMB + "attributes:\n", 8, "the aliases expand to"),
    Broken("endless_alias", _FORMAT, "  select: &s [*s]", 21, "the aliases expand to"),
    Broken("no_alias", "format: jsonl", f"format: *{SECRET}", 21, "found undefined alias"),
    Broken("python_tag", "format: jsonl", "format: !!python/name:os.system x", 21, "not valid YAML"),
    Broken("twice", _FORMAT, f"{_FORMAT}\n  format: csv", 22, "is given twice, first in line 21."),
    Broken("no_type", "type: exporter_pipelines.components.DatasetExport\n", "", 3, "type: is missing"),
    Broken("odd_type", "DatasetExport", "DatasetExprot", 2, "there are: exporter_pipelines.comp"),
    Broken("no_package", "type: exporter_p", "type: exproter_p", 2, "does not exist (there are: "),
    Broken("type_list", "", "type: [a]\nattributes: {}\n", 1, "type: is not text."),
    Broken("type_number", "", "type: 7\nattributes: {}\n", 1, "type: is not text."),
    Broken("type_module", "", "type: os.path\n", 1, "type 'os.path' is not a component of Dagster. Write one of"),
    Broken("type_class", "", "type: json.JSONDecoder\n", 1, "'json.JSONDecoder' is not a component"),
    Broken("type_missing", "", "type: json.Nothing\n", 1, "does not exist: the module has no Nothing."),
    Broken("type_inner", "", "type: json.nowhere.Thing\n", 1, "cannot be imported: ModuleNotFoundError."),
    Broken("type_dagster", "", "type: dagster.asset\n", 1, "'dagster.asset' is not a component"),
    Broken("type_exits", "", f"type: {_EXITS}.Component\n", 1, "cannot be imported: SystemExit."),
    Broken("type_dots", "", "type: ...\n", 1, "type '...' does not exist"),
    Broken("requires_list", "attributes:", "requirements: [A]\nattributes:", 4, "requirements: is not a mapping"),
    Broken("requires_text", "attributes:", "requirements:\n  env: A\nattributes:", 5, "requirements.env: is not a list. Write"),
    Broken("requires_map", "attributes:", "requirements:\n  env: [A, {b: c}]\nattributes:", 5, "requirements.env.1: is not text."),
    Broken("requires_number", "attributes:", "requirements:\n  env: [1]\nattributes:", 5, "env.0: is not text."),
    Broken("requires_null", "attributes:", "requirements:\n  env: [null]\nattributes:", 5, "env.0: is not text."),
    Broken("requires_misspelt", "attributes:", "requirements:\n  evn: [A]\nattributes:", 5, "requirements.evn: there is no such setting. There is: env."),
    Broken("template_number", "attributes:", "template_vars_module: 1\nattributes:", 4, "template_vars_module: is not text."),
    Broken("processing_list", "attributes:", "post_processing: [1]\nattributes:", 4, "post_processing: is not a mapping"),
    Broken("schema_exits", _ROW, f"{_EXITS}.Row", 7, "cannot be imported: SystemExit."),
    Broken("outer", "attributes:", "atributes:", 4, "atributes: there is no such setting. There"),
    Broken("list", "", f"{_DATASET}attributes: [1]\n", 2, "attributes: is not a mapping"),
    Broken("no_attributes", "", f"{_DATASET}attributes:\n", 2, "attributes: is missing."),
    # Names
    Broken("no_name", "  name: logs\n", "", 4, "name: is missing."),
    Broken("outside", "name: logs", "name: ../logs", 5, "name: String should match pattern"),
    Broken("number", "name: logs", "name: 7", 5, "name: Input should be a valid string. It is 7."),
    Broken("report_asset", "name: logs", "name: export_report", 5, "is taken by the export report"),
    Broken("report_folder", "name: logs", "name: report", 5, "is taken by the export report"),
    Broken("dagster_word", "name: logs", "name: config", 5, "'config' has a meaning of its own"),
    Broken("python_word", "name: logs", "name: class", 5, "'class' has a meaning of its own"),
    Broken("own_job", "name: logs", "name: prune", 5, "'prune' is taken: prune_job is a job"),
    # Settings
    Broken("misspelt", _FORMAT, "  fromat: jsonl", 21, "fromat: there is no such setting. There"),
    Broken("misspelt_deep", "    table: logs", "    tabel: logs", 11, "source.tabel: there is no"),
    Broken("keys", _FORMAT, "  7: jsonl", 21, "attributes: 7 is not text."),
    Broken("stern", "validation: strict", "validation: stern", 20, "'strict'. It is 'stern'."),
    Broken("negative", "rejected_rows: 10", "rejected_rows: -1", 24, "max_rejected_rows: Input sh"),
    Broken("percent", "rejected_pct: 1.0", "rejected_pct: 101", 23, "max_rejected_pct: Input should"),
    Broken("format", "format: jsonl", "format: xml", 21, "format 'xml' does not exist (there are:"),
    Broken("compression", "compression: gzip", "compression: lzma", 22, "(there are: none, gzip, zs"),
    Broken("owners", _FORMAT, "  owners: [bob]", 21, "owners.0: String should match pattern"),
    Broken("retention", _FORMAT, "  retention: {keep: 3}", 21, "keep_at_least, keep_quarantine_days"),
    Broken("late_data", _FORMAT, "  late_data: {policy: x}", 21, "late_data.policy: Input should"),
    Broken("max_file", _FORMAT, "  max_file_records: 0", 21, "max_file_records: Input should be"),
    Broken("default_column", _FORMAT, "  defaults: {levle: INFO}", 21, "defaults: column 'levle' does not"),
    Broken("default_type", _FORMAT, "  defaults:\n    level: 3", 22, "defaults: 3 is not a value of 'level'"),
    Broken("default_rule", _FORMAT, "  defaults: {level: LOUD}", 21, "breaks the rule 'known_level'"),
    Broken("default_list", _FORMAT, "  defaults: [level]", 21, "defaults: Input should be a valid dict"),
    Broken("null_column", _FORMAT, "  nullable: [levle]", 21, "nullable: column 'levle' does not exist"),
    Broken("null_time", _FORMAT, "  nullable: [timestamp]", 21, "'timestamp' is the time column"),
    Broken("extra", _FORMAT, "  extra_columns: all", 21, "'ignore' or 'keep'. It is 'all'."),
    # Source
    Broken("no_table", "    table: logs  ", "    # no table", 9, "source: give exactly one of `table"),
    Broken("query", "    table: logs  ", '    query: "" #', 11, "source.query: String should have"),
    Broken("blank", "    table: logs  ", '    query: "  " #', 11, "source.query: is empty."),
    Broken("mars", "timezone: UTC", "timezone: Mars", 14, "'Mars' is not an IANA time zone"),
    Broken("key", "key: id", "key: nr", 9, "key column 'nr' does not exist (there are: id, times"),
    Broken("when", "time_column: timestamp", "time_column: when", 9, "'when' does not exist (there"),
    Broken("no_time", "time_column: timestamp", "time_column: level", 9, "is not a required times"),
    Broken("columns", "columns: {}", "columns: {nope: x}", 9, "columns: column 'nope' does not"),
    Broken("url", "url: EXPORTER_SOURCE_URL", f"url: postgresql://u:{SECRET}@h/x", 10,
           "NAME of an environment variable"),
    Broken("password", "url: EXPORTER_SOURCE_URL", f"url: {SECRET}", 10, "NAME of an environment"),
    Broken("url_as_table", "table: logs", f"format: postgresql://u:{SECRET}@h/x", 11, "source.for"),
    Broken("url_as_format", "format: jsonl", f"format: postgresql://u:{SECRET}@h/x", 21, "NAME of"),
    Broken("url_as_zone", "timezone: UTC", f"timezone: sqlite://{SECRET}", 14, "NAME of an envir"),
    # Schedules
    Broken("whenever", "15 2 * * *", "whenever", 26, f"'whenever' {_CRON}"),
    Broken("minute_61", "15 2 * * *", "61 * * * *", 26, _CRON),
    Broken("six_fields", "15 2 * * *", "0 15 2 * * *", 26, _CRON),
    Broken("three_fields", "15 2 * * *", "15 2 x", 26, _CRON),
    Broken("february_31", "15 2 * * *", "0 0 31 2 *", 26, _CRON),
    Broken("step_0", "15 2 * * *", "*/0 2 * * *", 26, _CRON),
    Broken("alias", "15 2 * * *", "@noon", 26, _CRON),
    Broken("cron_list", '"15 2 * * *"', '["15 2 * * *"]', 26, "schedule: Input should be a valid str"),
    Broken("empty_cron", "15 2 * * *", "", 26, _CRON),
    # Schema, transforms, filters, rules
    Broken("no_class", "schema.LogRow", "schema.Nothing", 7, "has no attribute 'Nothing'"),
    Broken("no_module", "logs.schema.LogRow", "nowhere.LogRow", 7, "cannot be imported: No module"),
    Broken("no_model", "exporter_pipelines.defs.logs.schema.LogRow", "json.JSONDecoder", 7, "Pandera"),
    Broken("c_date", _ROW, f"{_REFUSED}.DateRow", 7, "a column 'Date', but readers add a column of"),
    Broken("c_index", _ROW, f"{_REFUSED}.IndexRow", 7, "pandas takes a column of that name for an i"),
    Broken("c_case", _ROW, f"{_REFUSED}.CaseRow", 7, "the columns 'level' and 'LEVEL', but readers"),
    Broken("c_composed", _ROW, f"{_REFUSED}.ComposedRow", 7, "that differ only in case or Unicode fo"),
    Broken("c_reasons", _ROW, f"{_REFUSED}.ReasonsRow", 7, "'Rejections', a name that the quarantine"),
    Broken("c_nameless", _ROW, f"{_REFUSED}.NamelessRow", 7, "a column needs a name. Give it another"),
    Broken("c_select", f"{_ROW}\n", f"{_REFUSED}.DateRow\n  select: [id, timestamp, Date]\n", 8,
           "Give it another name in the schema and map that to the column of the database"),
    Broken("transform", "name: level_aliases", "name: levels", 18, "(there are: level_aliases)"),
    Broken("params", "name: level_aliases", "name: level_aliases\n      params: {colum: x}", 18,
           "It takes: column, aliases"),
    Broken("alias_default", "name: level_aliases", "name: level_aliases\n      params: {default: LOUD}", 18,
           "default 'LOUD' is not a value of 'level'. Write one of DEBUG, INFO"),
    Broken("function", "name: level_aliases", "function: no.where", 18, "transform 'where': functio"),
    Broken("unnamed", "name: level_aliases", "params: {}", 18, "a transform needs `name` or `func"),
    Broken("filter", _FORMAT, _FILTER, 23, "filter 'severe': 3 is not a value of 'level' (string)"),
    Broken("rule", _FORMAT, _RULES, 23, "rule 'b': function 'no.where' cannot be imported"),
    Broken("rule_kind", _FORMAT, "  rules: [{name: a}]", 21, "rule 'a' needs either `function` or"),
    Broken("thresholds", _FORMAT, "  thresholds: {odd: warn}", 21, "rule 'odd' does not exist (ther"),
    Broken("threshold", _FORMAT, "  thresholds: {known_level: x}", 21, "thresholds.known_level: Inp"),
    Broken("select", _FORMAT, "  select: [id, nope]", 21, "select: column 'nope' does not exist"),
    Broken("select_less", _FORMAT, "  select: [id, level]", 21, "column 'timestamp' is missing"),
    # Presets
    Broken("p_like", "like: logs", "like: log", 6, "dataset 'log' does not exist", "logs_errors"),
    Broken("p_preset", "like: logs", "like: logs_light", 6, "dataset 'logs_light' does not exist", "logs_errors"),
    Broken("p_no_like", "  like: logs\n", "", 4, "like: is missing.", "logs_errors"),
    Broken("p_broken", "like: logs", "like: whenever", 6,
           "the definition of 'whenever' has a mistake. Correct that one first.", "logs_errors"),
    Broken("p_unreadable", "like: logs", "like: bracket", 6, "Correct that one first.", "logs_errors"),
    Broken("p_source", "  like: logs\n", "  like: logs\n  source: {table: x}\n", 7,
           "source: there is no such setting. There are: name, like, descr", "logs_errors"),
    Broken("p_format", "  like: logs\n", "  like: logs\n  format: xml\n", 7, "format 'xml' does", "logs_errors"),
    Broken("p_select", "  like: logs\n", "  like: logs\n  select: [level]\n", 7, "'id' is missing", "logs_errors"),
    Broken("p_threshold", "  like: logs\n", "  like: logs\n  thresholds: {x: warn}\n", 7, "rule 'x' does", "logs_errors"),
    Broken("p_policy", "  like: logs\n", "  like: logs\n  privacy: {key: K, keep: [id]}\n", 7, "does not say what happens to 'level', 'message'", "logs_errors"),
    Broken("policy_key", _FORMAT, f"  privacy: {{key: {SECRET}}}", 21, "privacy.key: String should match"),
    Broken("policy_action", _FORMAT, "  privacy:\n    key: K\n    columns: {ip: {action: hide}}", 23, "privacy.columns.ip.action: "),
    Broken("p_column", "column: level", "column: levle", 10, "column 'levle' does not", "logs_errors"),
    Broken("p_operator", "op: in", "op: one_of", 10, "filters.0.op: Input should be 'eq'", "logs_errors"),
    Broken("p_value", "[ERROR, CRITICAL]", "[ERROR, 3]", 10, "3 is not a value of 'level'", "logs_errors"),
    Broken("p_name", "name: severe", "name: no space", 10, "filters.0.name: String should", "logs_errors"),
    Broken("p_schedule", "  like: logs\n", "  like: logs\n  schedule: daily\n", 7, _CRON, "logs_errors"),
]  # fmt: skip
