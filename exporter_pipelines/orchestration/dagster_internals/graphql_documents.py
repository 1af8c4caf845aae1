"""What a GraphQL request to Dagster's web server asks for, before it is executed.

Reason: Dagster checks permissions in each mutation by itself, and answers 500 to a request that is
    JSON but no GraphQL request.
Upstream: https://github.com/dagster-io/dagster/issues/2219
Test: test_service_dagster_ui.py::test_a_hidden_mutation_is_found
"""

from __future__ import annotations

import json

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)

_MAX_TOKENS = 20_000
_MAX_LENGTH = 1024 * 1024
_MAX_NAMES = 10


class UnusableRequestError(Exception):
    """A body that is no GraphQL request, in one sentence."""


def refuse_malformed(body: object) -> None:
    """Raise an `UnusableRequestError` unless the parts of a request have their types."""
    if not isinstance(body, dict):
        raise UnusableRequestError("The body is not a JSON object.")
    if not isinstance(body.get("query"), str):
        raise UnusableRequestError("The body has no text `query`.")
    if not isinstance(body.get("operationName"), str | None):
        raise UnusableRequestError("`operationName` is not a text.")
    if not isinstance(body.get("variables"), dict | None):
        raise UnusableRequestError("`variables` is not an object.")
    refuse_half_characters(body)


def refuse_half_characters(part: object) -> None:
    """Raise an `UnusableRequestError` for a lone surrogate, which no answer can repeat."""
    try:
        json.dumps(part, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnusableRequestError("The body has one half of a surrogate pair.") from None


def mutations_in(query: str) -> list[str]:
    """Names of the mutations in a document, also in operations that are not to be executed.

    Raises:
        UnusableRequestError: it cannot be parsed, or is too long.
    """
    try:
        document = parse(
            query, no_location=True, max_lexical_tokens=_MAX_TOKENS, max_source_length=_MAX_LENGTH
        )
    except GraphQLError as error:
        raise UnusableRequestError(error.message) from None
    found: list[str] = []
    for part in document.definitions:
        if isinstance(part, OperationDefinitionNode) and part.operation is OperationType.MUTATION:
            found += _fields(part.selection_set, document, set()) or ["(empty)"]
    return found[:_MAX_NAMES]


def _fields(selection: SelectionSetNode, document: DocumentNode, seen: set[str]) -> list[str]:
    """Names of the fields at the top, also those in fragments."""
    found = []
    for part in selection.selections:
        if isinstance(part, FieldNode):
            found.append(part.name.value)
        elif isinstance(part, InlineFragmentNode):
            found += _fields(part.selection_set, document, seen)
        elif isinstance(part, FragmentSpreadNode) and part.name.value not in seen:
            seen.add(part.name.value)
            for fragment in document.definitions:
                same = isinstance(fragment, FragmentDefinitionNode)
                if same and fragment.name.value == part.name.value:  # type: ignore[attr-defined]
                    found += _fields(fragment.selection_set, document, seen)  # type: ignore[attr-defined]
    return found
