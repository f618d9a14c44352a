"""What the environment may say about mail and about signing in."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from engine.environment import ConfigError
from tests.unit.test_config import read, shared_state  # noqa: F401  a fixture


class TestMail:
    SMTP: ClassVar = {
        "SERVER_EMAIL_KIND": "smtp",
        "SERVER_EMAIL_SMTP_SERVER_ADDR": "smtp.example.com:587",
        "SERVER_EMAIL_SMTP_FROM_EMAIL": "hatchet@example.com",
    }

    def test_none_leaves_unless_it_is_asked_for(self, tmp_path: Path) -> None:
        assert read(tmp_path).mail.kind == "none"
        off = self.SMTP | {"SERVER_EMAIL_SMTP_ENABLED": "false"}
        assert read(tmp_path, **off).mail.kind == "none"

    def test_either_of_the_guides_two_switches_is_enough(self, tmp_path: Path) -> None:
        enabled = {k: v for k, v in self.SMTP.items() if k != "SERVER_EMAIL_KIND"}
        enabled["SERVER_EMAIL_SMTP_ENABLED"] = "true"
        assert read(tmp_path, **enabled).mail == read(tmp_path, **self.SMTP).mail

    @pytest.mark.parametrize(
        ("server", "security"),
        [
            ("smtp.example.com:587", "starttls"),
            ("smtp.example.com:465", "tls"),
            ("localhost:1025", "none"),
        ],
    )
    def test_it_is_encrypted_unless_it_stays_on_this_machine(
        self, server: str, security: str, tmp_path: Path
    ) -> None:
        mail = read(tmp_path, **(self.SMTP | {"SERVER_EMAIL_SMTP_SERVER_ADDR": server})).mail
        assert mail.smtp_security == security

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SERVER_EMAIL_SMTP_SERVER_ADDR", "smtp.example.com"),
            ("SERVER_EMAIL_SMTP_FROM_EMAIL", "nobody"),
            ("SERVER_EMAIL_SMTP_FROM_EMAIL", "a@b\nBcc:c@d"),
            ("SERVER_EMAIL_SMTP_FROM_NAME", "a\nBcc: b@example.com"),
            ("SERVER_EMAIL_SMTP_SUPPORT_EMAIL", "nobody"),
            ("SERVER_EMAIL_SMTP_AUTH_USERNAME", "name without a password"),
            ("SERVER_EMAIL_SMTP_SECURITY", "perhaps"),
        ],
    )
    def test_a_wrong_value_stops_the_start(self, name: str, value: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=name):
            read(tmp_path, **(self.SMTP | {name: value}))

    def test_its_secrets_are_not_shown(self, tmp_path: Path) -> None:
        named = {
            "SERVER_EMAIL_SMTP_AUTH_USERNAME": "hatchet",
            "SERVER_EMAIL_SMTP_AUTH_PASSWORD": "very-secret",
        }
        mail = read(tmp_path, **(self.SMTP | named)).mail
        assert mail.password == "very-secret"
        assert "very-secret" not in repr(mail)


class TestSignIn:
    OIDC: ClassVar = {
        "SERVER_AUTH_OIDC_ENABLED": "true",
        "SERVER_AUTH_OIDC_ISSUER": "https://id.example.com/realms/acme",
        "SERVER_AUTH_OIDC_CLIENT_ID": "hatchet",
        "SERVER_AUTH_OIDC_CLIENT_SECRET": "very-secret",
    }

    def test_by_password_unless_more_is_asked_for(self, tmp_path: Path) -> None:
        assert read(tmp_path).sign_in.schemes == ("basic",)
        only = self.OIDC | {"SERVER_AUTH_BASIC_AUTH_ENABLED": "false"}
        assert read(tmp_path, **only).sign_in.schemes == ("oidc",)

    def test_the_guides_lists_of_scopes_are_read(self, tmp_path: Path) -> None:
        google = {
            "SERVER_AUTH_GOOGLE_ENABLED": "t",
            "SERVER_AUTH_GOOGLE_CLIENT_ID": "hatchet",
            "SERVER_AUTH_GOOGLE_CLIENT_SECRET": "very-secret",
            "SERVER_AUTH_GOOGLE_SCOPES": '["openid", "email"]',
        }
        provider = read(tmp_path, **google).sign_in.google
        assert provider
        assert provider.scopes == ("openid", "email")
        assert "very-secret" not in repr(provider)

    def test_groups_give_roles(self, tmp_path: Path) -> None:
        roles = {"SERVER_AUTH_OIDC_GROUP_ROLES": "staff=default:member, On call = ops:ADMIN"}
        oidc = read(tmp_path, **(self.OIDC | roles)).sign_in.oidc
        assert oidc
        assert oidc.group_roles == (("staff", "default", "MEMBER"), ("On call", "ops", "ADMIN"))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SERVER_AUTH_OIDC_ISSUER", "http://id.example.com"),
            ("SERVER_AUTH_OIDC_ISSUER", "id.example.com"),
            ("SERVER_AUTH_OIDC_ISSUER", "https://id.example.com/?tenant=1"),
            ("SERVER_AUTH_OIDC_CLIENT_ID", ""),
            ("SERVER_AUTH_OIDC_CLIENT_SECRET", ""),
            ("SERVER_AUTH_OIDC_GROUP_ROLES", "staff"),
            ("SERVER_AUTH_OIDC_GROUP_ROLES", "staff=default:KING"),
        ],
    )
    def test_a_wrong_value_stops_the_start(self, name: str, value: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=name):
            read(tmp_path, **(self.OIDC | {name: value}))
