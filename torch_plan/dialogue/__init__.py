"""What happens while cookiecutter asks: how it was started, notes, questions again, commands."""
