"""The asset key of the export report, which no dataset can have."""

EXPORT_REPORT = "export_report"
