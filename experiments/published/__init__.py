"""The results that this project publishes, in docs/results.md."""
