"""Jobs and sensors that keep published days in order: late data, repair, retention, dead runs."""
