"""Adapters: the current skills inside of agent frameworks, one file a framework.

Each follows its framework's own extension point and reads from a `Workspace`, which stays its caller's to open and to
close. Nothing imports an adapter but whoever uses that framework, and each imports its framework alone: where that is
not installed, importing the adapter raises `ConfigError`.
"""
