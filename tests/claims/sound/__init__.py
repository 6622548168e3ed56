"""Records of sound runs with complete evidence: under faults, with attempts, watched, played in."""
