"""A live page on which a person changes a robot and watches its memory cope."""
