"""Our environments as other libraries know them."""
