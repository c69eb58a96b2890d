from django.apps import AppConfig


class ClientsConfig(AppConfig):
    name = "genfeed.clients"
    verbose_name = "Clients"
