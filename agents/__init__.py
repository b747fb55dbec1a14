"""Networks that act: they know tensors, not simulators."""
