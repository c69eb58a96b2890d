"""What tokens for pages may take in all."""

from __future__ import annotations

from django.db import models


class BrowserTokenLimit(models.Model):
    """The ceiling of one token, and how much of it its requests have taken: their holds, in nano-USD."""

    token = models.CharField(max_length=40, primary_key=True, help_text="bt_…")
    most = models.BigIntegerField()
    taken = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.token
