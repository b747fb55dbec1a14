"""Inputs that nobody wrote, for all that reads files and words of others."""
