"""Simulated products whose truth is known, to drive the real service over its real interfaces."""
