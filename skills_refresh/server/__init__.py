"""The server: one engine, followed over HTTP by programs in any language and on a page by people.

Needs the extra `serve`. Nothing outside of this package and its verb imports it.
"""
