"""NTU RGB+D 60 and 120: their skeleton files, how they are cleaned, and their protocols."""
