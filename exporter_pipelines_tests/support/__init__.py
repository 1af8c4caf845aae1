"""What several test modules share: backends, projects on disk, servers, runs, expected data."""
