"""Archline: declarative neural architecture search whose every reported number can be traced."""

__version__ = "0.1.0"
