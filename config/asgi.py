"""The ASGI entry, which `manage.py serve` runs."""

from config.serving.entry import start
from config.serving.front import Front

application = Front(start())
