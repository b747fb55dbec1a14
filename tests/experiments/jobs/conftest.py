"""Ray is an extra, which `make check-slow` installs: all tests of clusters are slow ones."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("ray") else ["test_cluster.py"]
