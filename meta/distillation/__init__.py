"""A student that must find out what its teacher was shown."""
