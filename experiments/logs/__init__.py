"""Where what training measures goes."""
