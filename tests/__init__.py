"""Tests, in folders named as the packages that they mirror."""
