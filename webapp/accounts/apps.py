from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save, pre_save


class AccountsConfig(AppConfig):
    name = "webapp.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from django.contrib.admin.models import LogEntry

        from webapp.accounts import account_changes
        from webapp.accounts.models import User

        pre_save.connect(account_changes.note_before, sender=User)
        post_save.connect(account_changes.record_save, sender=User)
        post_delete.connect(account_changes.record_delete, sender=User)
        post_save.connect(account_changes.note_admin_change, sender=LogEntry)
