"""What learns across tasks."""
