"""What several test modules use: answers, starting cookiecutter, locks, stand-ins."""
