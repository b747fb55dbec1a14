"""Robots of seven other projects, each as `limbshift train --robot` would take it: what comes of them is docs/own-robots.md."""
