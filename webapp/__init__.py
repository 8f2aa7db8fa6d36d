"""The only Django code: projects, people, rows, pages, REST, Celery tasks."""
