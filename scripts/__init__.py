"""The project's commands, one script per task: see README.md."""
