"""The addresses of the admin's pages: all that processes link to that answer no requests themselves."""

from django.contrib import admin
from django.urls import path

# Here, and not at every start of Django: only who shows pages, or leads to them, loads them.
admin.autodiscover()

urlpatterns = [path("admin/", admin.site.urls)]
