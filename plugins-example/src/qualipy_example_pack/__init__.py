"""An example pack: filters that QualiPy lacks, and photos straight out of ZIP archives.

Nothing is imported here: QualiPy finds the filters through the entry points in ``pyproject.toml``
and imports a filter's module when somebody asks for that filter.
"""
