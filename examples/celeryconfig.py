"""Celery's settings, where variables are not enough; in the folder that the worker starts in."""

# No password: QUALIPY_BROKER_URL holds it, and wins over what stands here.
broker_url = "redis://redis.example:6379/0"

# Only what differs from QualiPy's defaults; in here, key by key.
broker_transport_options = {"socket_timeout": 60}

# Begin each process anew from time to time, should a library leak.
worker_max_tasks_per_child = 10_000
