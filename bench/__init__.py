"""`make bench`: how long labctl takes, as ratios to the time that bare machines of the same box need to boot."""
