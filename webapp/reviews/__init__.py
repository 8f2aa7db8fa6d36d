"""What people say: verdicts and their annotations, only ever added to."""
