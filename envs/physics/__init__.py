"""Many simulations side by side, each with its own dynamics: one interface, two engines."""
