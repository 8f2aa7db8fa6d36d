"""One recognition job: its labels, individuals, sites, visits and fields."""
