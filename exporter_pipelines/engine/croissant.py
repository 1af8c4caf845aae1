"""`croissant.json`: a data set described for machines.

https://docs.mlcommons.org/croissant/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {
    "int64": "sc:Integer",
    "double": "sc:Float",
    "float64": "sc:Float",
    "bool": "sc:Boolean",
    "string": "sc:Text",
    "json": "sc:Text",
}


@dataclass(frozen=True)
class Field:
    """A column: Arrow's name of its type; `repeated` for a list of that type."""

    name: str
    type: str
    description: str = ""
    repeated: bool = False


@dataclass(frozen=True)
class File:
    """A data file, relative to the document; `split` is empty where there are no splits."""

    path: str
    sha256: str
    split: str = ""


def croissant(
    name: str,
    description: str,
    version: str,
    fields: Sequence[Field],
    includes: Sequence[str],
    encoding: str,
    files: Sequence[File] = (),
) -> bytes:
    """The document.

    Args:
        name, description: Of the data set.
        version: Of the data, or of its description if the data change every day.
        fields: Of every file.
        includes: Paths or patterns of the data files, relative to the document.
        encoding: Media type of the files, such as `application/x-parquet`.
        files: All data files; empty for a data set that gets new files every day.
    """
    splits = list(dict.fromkeys(file.split for file in files if file.split))
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": name,
        "description": description or name,
        "version": version,
        "isLiveDataset": not files,
        "distribution": [*_files(files, encoding), _file_set(includes, encoding)],
        "recordSet": [*_split_names(splits), _records(fields, splits)],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _files(files: Sequence[File], encoding: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "encodingFormat": encoding,
            "sha256": file.sha256,
        }
        for file in files
    ]


def _file_set(includes: Sequence[str], encoding: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "files",
        "name": "files",
        "description": "All data files.",
        "encodingFormat": encoding,
        "includes": list(includes),
    }


def _split_names(splits: Sequence[str]) -> list[dict[str, Any]]:
    """The record set that lists the splits, as Croissant's documentation shows."""
    if not splits:
        return []
    return [
        {
            "@type": "cr:RecordSet",
            "@id": "splits",
            "dataType": "cr:Split",
            "key": {"@id": "splits/name"},
            "name": "splits",
            "field": [
                {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}
            ],
            "data": [{"splits/name": split} for split in splits],
        }
    ]


def _records(fields: Sequence[Field], splits: Sequence[str]) -> dict[str, Any]:
    described = [_field(field) for field in fields]
    if splits:
        names = "|".join(map(re.escape, splits))
        described.insert(
            0,
            {
                "@type": "cr:Field",
                "@id": "examples/split",
                "name": "split",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": {"@id": "files"},
                    "extract": {"fileProperty": "fullpath"},
                    "transform": {"regex": f"data/({names})-.+parquet$"},
                },
                "references": {"field": {"@id": "splits/name"}},
            },
        )
    return {"@type": "cr:RecordSet", "@id": "examples", "name": "examples", "field": described}


def _field(field: Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"examples/{field.name}",
        "name": field.name,
        "dataType": _TYPES.get(field.type, "sc:DateTime"),
        "source": {"fileSet": {"@id": "files"}, "extract": {"column": field.name}},
    }
    if field.description:
        described["description"] = field.description
    if field.repeated:
        described |= {"isArray": True, "arrayShape": "-1"}
    return described
