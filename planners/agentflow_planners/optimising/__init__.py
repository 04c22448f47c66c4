"""What every search for a better planner shares: cases in three parts, candidates, scores, the end of it."""
