"""Adapters in the admin, to look at: they come from jobs alone."""

from django.contrib import admin

from webapp.adapters.models import Adapter, AdapterVersion
from webapp.jobs.admin import ReadOnly


@admin.register(Adapter)
class AdapterAdmin(ReadOnly):
    list_display = ["name", "owner", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]


@admin.register(AdapterVersion)
class AdapterVersionAdmin(ReadOnly):
    list_display = [
        "adapter", "number", "size_bytes", "zip_sha256", "created_at", "checked_at", "is_damaged",
        "held_out_is_damaged",
    ]  # fmt: skip
    list_filter = ["is_damaged", "held_out_is_damaged"]
    list_select_related = ["adapter"]
    search_fields = ["adapter__name"]
