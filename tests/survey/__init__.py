"""Robots of other projects, each as `limbshift train --robot` would take it, for docs/own-robots.md."""
