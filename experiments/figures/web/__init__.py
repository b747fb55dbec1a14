"""Web pages that need nothing beside them."""
