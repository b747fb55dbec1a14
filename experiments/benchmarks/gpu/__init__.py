"""How fast this is on a GPU: `limbshift bench --gpu`, and docs/gpu.md, which is made of what that wrote."""
