"""Addresses of this app."""

from django.urls import path

from webapp.accounts import views

urlpatterns = [
    path("sign-in", views.SignIn.as_view(), name="login"),
    path("sign-out", views.SignOut.as_view(), name="logout"),
    path("welcome/<str:token>", views.welcome, name="welcome"),
    path("account", views.account, name="account"),
]
