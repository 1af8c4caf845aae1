"""A rule of the user's own."""

import pandas as pd


def short_enough(message: pd.Series, limit: int) -> pd.Series:
    """Whether the text has at most `limit` characters."""
    return message.str.len() <= limit
