"""Pictures, plots, tables and videos."""
