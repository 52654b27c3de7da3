"""Addresses of this app."""

from django.urls import path

from webapp.datasets import views, views_upload

urlpatterns = [
    path("", views.dataset_list, name="dataset-list"),
    path("upload", views_upload.upload, name="dataset-upload"),
    path("samples", views.from_sample, name="dataset-from-sample"),
    path("uploads/<uuid:upload_id>", views_upload.upload_detail, name="upload-detail"),
    path("uploads/<uuid:upload_id>/discard", views_upload.discard, name="upload-discard"),
    path("<uuid:dataset_id>", views.detail, name="dataset-detail"),
    path("<uuid:dataset_id>/remap", views_upload.remap, name="dataset-remap"),
    path("<uuid:dataset_id>/download", views.download, name="dataset-download"),
    path("<uuid:dataset_id>/delete", views.delete, name="dataset-delete"),
]
