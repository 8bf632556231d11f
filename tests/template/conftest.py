"""Fixtures of `bakes`, by whose names tests ask for them."""

from bakes import bake, installed, isolate, project, template, uv

__all__ = ["bake", "installed", "isolate", "project", "template", "uv"]
