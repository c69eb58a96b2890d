"""All settings, read from the environment and from `.env` beside manage.py; `.env.example` explains each."""

from genfeed.settings.files import *  # noqa: F403
from genfeed.settings.installation import *  # noqa: F403
from genfeed.settings.providers import *  # noqa: F403
from genfeed.settings.serving import *  # noqa: F403
from genfeed.settings.work import *  # noqa: F403
