from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from tenants.audit import sessions
        from tenants.sessions import note_sign_in

        user_logged_in.connect(note_sign_in, dispatch_uid="tenants.sessions")
        sessions.listen()
