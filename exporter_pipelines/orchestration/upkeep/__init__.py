"""Jobs and sensors for maintenance: late data, repair, retention, dead runs."""
