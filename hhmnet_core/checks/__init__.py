"""Checks of what users and other versions wrote: names, sizes, numbers, JSON and YAML."""
