"""NTU RGB+D 60 and 120: skeleton files, their cleaning, and the published protocols."""
