"""Mail arrives at a real server as it was meant, and a server that is bad keeps nobody waiting."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from engine.environment import Environment
from engine.mail_config import MailConfig
from hatchet_site.mail import anymail_settings, mail_backend
from tenants import mail
from tests.mail_servers import free_port, http_server, settle, silent_server, smtp_server
from tests.rpc.certificates import Authority

SECRET = "https://hatchet.test/password/reset/very-secret"


def configure(settings: Settings, **variables: str) -> None:
    """What `settings.py` does with these variables."""
    config = MailConfig.from_environment(Environment(variables))
    settings.EMAIL_BACKEND = mail_backend(config.kind)
    settings.EMAIL_HOST, settings.EMAIL_PORT = config.smtp_host, config.smtp_port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = config.username, config.password
    settings.EMAIL_USE_TLS = config.smtp_security == "starttls"
    settings.EMAIL_USE_SSL = config.smtp_security == "tls"
    settings.DEFAULT_FROM_EMAIL = config.sender
    settings.ANYMAIL = anymail_settings(config)


def use_smtp(settings: Settings, port: int, **variables: str) -> None:
    configure(
        settings,
        SERVER_EMAIL_KIND="smtp",
        SERVER_EMAIL_SMTP_SERVER_ADDR=f"127.0.0.1:{port}",
        SERVER_EMAIL_SMTP_FROM_EMAIL="hatchet@acme.test",
        SERVER_EMAIL_SMTP_FROM_NAME="Hatchet of Äcme",
        **variables,
    )


def test_a_message_arrives_whole(settings: Settings) -> None:
    text = "Grüße\n.\nFrom here on a dot stands alone.\n" + "long " * 400
    with smtp_server() as inbox:
        use_smtp(settings, inbox.port)
        assert mail.send_message("ann@example.org", "An invite to “Äcme”", text)
    (message,) = inbox.messages()
    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org"]
    assert (message["To"], message["Subject"]) == ("ann@example.org", "An invite to “Äcme”")
    assert message["From"] == "Hatchet of Äcme <hatchet@acme.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n").strip() == text.strip()


def test_answers_go_to_the_support_address(settings: Settings) -> None:
    here = settings.HATCHET
    settings.HATCHET = replace(here, mail=replace(here.mail, support_email="help@acme.test"))
    with smtp_server() as inbox:
        use_smtp(settings, inbox.port)
        assert mail.send_message("ann@example.org", "Hello", "text")
    assert inbox.messages()[0]["Reply-To"] == "help@acme.test"


@pytest.mark.parametrize(
    "subject",
    ["Hi\r\nBcc: evil@example.org", "Hi\nBcc: evil@example.org", "Hi\x0bBcc:\x85evil@example.org"],
    ids=["crlf", "lf", "others"],
)
def test_a_subject_cannot_become_a_header(subject: str, settings: Settings) -> None:
    with smtp_server() as inbox:
        use_smtp(settings, inbox.port)
        assert mail.send_message("ann@example.org", subject, "text")
    (message,) = inbox.messages()
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Hi Bcc:")
    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org"]


@pytest.mark.parametrize(
    "to",
    [
        "ann@example.org\nBcc: evil@example.org",
        "ann@example.org\r\nRCPT TO:<evil@example.org>",
        "ann@example.org, evil@example.org",
        "ann@example.org>\x00",
        '"a\x0bb"@example.org',
        "ann",
        "",
        "a" * 5_000_000 + "@example.org",
    ],
    ids=["lf", "crlf", "two", "nul", "quoted", "no domain", "empty", "5 MB"],
)
def test_mail_goes_to_one_address_and_nowhere_else(to: str, settings: Settings) -> None:
    with smtp_server() as inbox:
        use_smtp(settings, inbox.port)
        assert not mail.send_message(to, "Hello", "text")
        assert not mail.send_soon(to, "Hello", "text")
        settle()
    assert inbox.envelopes == []


def test_text_that_is_no_unicode_is_sent_all_the_same(settings: Settings) -> None:
    with smtp_server() as inbox:
        use_smtp(settings, inbox.port)
        assert mail.send_message("ann@example.org", "Hi \ud800", "half \ud800 a pair")
    assert "half ? a pair" in inbox.messages()[0].get_content()


def test_a_server_that_hangs_keeps_nobody_waiting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mail, "WAIT_SECONDS", 0.2)
    settings.EMAIL_TIMEOUT = 1
    with silent_server() as (_, port):
        use_smtp(settings, port)
        assert not mail.send_message("ann@example.org", "Hello", SECRET)
        assert "has not left" in caplog.text
        assert mail.send_soon("ann@example.org", "Hello", SECRET)
        settle()
    assert "was not sent" in caplog.text
    assert SECRET not in caplog.text


def test_more_than_can_wait_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_TIMEOUT = 1
    with silent_server() as (_, port):
        use_smtp(settings, port)
        taken = [mail.send_soon("ann@example.org", "Hi", "") for _ in range(mail.MOST_WAITING + 1)]
        assert not taken[-1]
        assert all(taken[:-1])
    settle()
    assert "are waiting already" in caplog.text


def test_a_failure_is_told_without_what_was_to_be_sent(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    use_smtp(settings, free_port())
    assert not mail.send_message("ann@example.org", "Hello", SECRET)
    assert "ann@example.org was not sent" in caplog.text
    assert SECRET not in caplog.text


def trusted_tls(monkeypatch: pytest.MonkeyPatch, directory: Path) -> ssl.SSLContext:
    """A server's context, of an authority that this process trusts."""
    authority = Authority()
    certificate, key = authority.issue("mail")
    for name, text in (("cert", certificate), ("key", key), ("ca", authority.certificate)):
        (directory / name).write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(directory / "ca"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert", directory / "key")
    return context


NAMED = {
    "SERVER_EMAIL_SMTP_AUTH_USERNAME": "hatchet",
    "SERVER_EMAIL_SMTP_AUTH_PASSWORD": "right",
    "SERVER_EMAIL_SMTP_SECURITY": "starttls",
}


def test_the_password_goes_over_tls_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = trusted_tls(monkeypatch, tmp_path)
    with smtp_server(tls=tls) as inbox:
        use_smtp(settings, inbox.port, **NAMED)
        assert mail.send_message("ann@example.org", "Hello", "text")
        assert inbox.sign_ins == [("hatchet", "right")]
    with smtp_server(auth_require_tls=False) as plain:
        use_smtp(settings, plain.port, **NAMED)
        assert not mail.send_message("ann@example.org", "Hello", "text")
        assert (plain.sign_ins, plain.envelopes) == ([], [])


def test_a_server_that_nobody_vouches_for_gets_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = trusted_tls(monkeypatch, tmp_path)
    monkeypatch.delenv("SSL_CERT_FILE")
    with smtp_server(tls=tls) as inbox:
        use_smtp(settings, inbox.port, **NAMED)
        assert not mail.send_message("ann@example.org", "Hello", "text")
        assert (inbox.sign_ins, inbox.envelopes) == ([], [])


def test_a_wrong_password_is_told_and_not_shown(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with smtp_server(tls=trusted_tls(monkeypatch, tmp_path)) as inbox:
        password = {"SERVER_EMAIL_SMTP_AUTH_PASSWORD": "wrong-secret"}
        use_smtp(settings, inbox.port, **(NAMED | password))
        assert not mail.send_message("ann@example.org", "Hello", "text")
        assert inbox.envelopes == []
    assert "was not sent" in caplog.text
    assert "wrong-secret" not in caplog.text


def use_postmark(settings: Settings, url: str) -> None:
    configure(
        settings,
        SERVER_EMAIL_KIND="postmark",
        SERVER_EMAIL_POSTMARK_SERVER_KEY="server-key",
        SERVER_EMAIL_POSTMARK_FROM_EMAIL="hatchet@acme.test",
    )
    settings.ANYMAIL |= {"POSTMARK_API_URL": url}


def test_a_provider_takes_mail_over_http(settings: Settings) -> None:
    taken_well = b'{"ErrorCode": 0, "Message": "OK", "MessageID": "1", "To": "ann@example.org"}'
    with http_server(taken_well) as (url, taken):
        use_postmark(settings, url)
        assert mail.send_message("ann@example.org", "Hello", "text")
    ((headers, body),) = taken
    assert headers["X-Postmark-Server-Token"] == "server-key"
    assert (body["To"], body["Subject"], body["TextBody"]) == ("ann@example.org", "Hello", "text")


def test_a_provider_that_refuses_is_told_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with http_server(b'{"ErrorCode": 10, "Message": "bad token"}', 401) as (url, taken):
        use_postmark(settings, url)
        assert not mail.send_message("ann@example.org", "Hello", SECRET)
    assert len(taken) == 1
    assert "was not sent" in caplog.text
    assert SECRET not in caplog.text
    assert "server-key" not in caplog.text


def test_without_configuration_nothing_leaves_and_that_is_told(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    configure(settings)
    assert not mail.is_configured()
    assert not mail.send_message("ann@example.org", "Hello", SECRET)
    assert "SERVER_EMAIL_KIND" in caplog.text
    assert SECRET not in caplog.text
