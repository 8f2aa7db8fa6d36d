from django.apps import AppConfig

from webapp import checks


class ProjectsConfig(AppConfig):
    name = "webapp.projects"
    label = "projects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register_all()
