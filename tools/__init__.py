"""What ``./try``, ``./test`` and the noxfile share: a checkout made ready on a bare machine.

Nothing but the standard library is imported here; `tools.demo` alone needs the environment that
the others make.
"""
