"""`hookline doctor`: looks at everything that Hookline needs, and says what is wrong and what to do about it.

One check is one small function that gives findings; one noun is one module. Whatever is broken, each check says so for
itself, in bounded time, and without a secret or a password in its text.
"""
