"""Controllers to share: a folder that says what is in it, and the list of those that come with the package."""
