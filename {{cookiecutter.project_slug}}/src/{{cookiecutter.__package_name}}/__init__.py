"""{{ cookiecutter.project_slug }}."""
