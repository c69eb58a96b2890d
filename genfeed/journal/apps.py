from django.apps import AppConfig


class JournalConfig(AppConfig):
    name = "genfeed.journal"
    verbose_name = "Journal"
