"""Proposes a privacy policy for a table: from names, types and sampled values of its columns.

Belongs here: what a name suggests, what values hold, the policy that follows, and its YAML.
Does not belong here: database access (`sources`), or masking (`privacy`). No text that is returned
contains a value of a row; keys of JSON are shown only if they consist of known words.
"""

from exporter_pipelines.policy_proposals.columns import SampledColumn
from exporter_pipelines.policy_proposals.proposal import Proposal, proposed_policy
from exporter_pipelines.policy_proposals.sampling import kind_of, sampled_columns

__all__ = ["Proposal", "SampledColumn", "kind_of", "proposed_policy", "sampled_columns"]
