"""Commands a person types; each prints answers on stdout and everything else on stderr."""
