"""Resident engine: a model that stays loaded between runs, in a detached process of this user.

The process is our own server on a private socket. Only the standard library is imported before a request has left.
"""
