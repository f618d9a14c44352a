"""A process that could not read what is stored does not start, and says what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from engine.config import Config
from engine.environment import ConfigError
from engine.ids import new_id
from engine.payload_config import PayloadConfig
from engine.store import key_changes, sealing
from engine.store.payload_setup import check_payloads, set_up
from engine.vault.masters import Masters
from tests.sealed import MASTER

NEW = "another master key 0123456789"
ON, READ, OFF = (PayloadConfig(encryption=word) for word in ("on", "read", "off"))


@pytest.fixture(autouse=True)
def _restored(no_keys_left: None) -> Iterator[None]:
    before = sealing.sealer()
    yield
    sealing.use(before)


@pytest.fixture
def config(settings: Settings) -> Config:
    found: Config = settings.HATCHET
    return replace(found, encryption_keys=(MASTER,), payloads=ON)


def test_the_first_start_says_which_master_key_it_is(config: Config) -> None:
    check_payloads(config)
    check_payloads(config)
    check_payloads(replace(config, encryption_keys=(NEW, MASTER)))
    with pytest.raises(ConfigError, match="SERVER_ENCRYPTION_MASTER_KEYSET"):
        check_payloads(replace(config, encryption_keys=(NEW,)))


def test_encryption_cannot_be_switched_off_while_something_is_encrypted(config: Config) -> None:
    check_payloads(replace(config, payloads=OFF))
    check_payloads(config)
    with pytest.raises(ConfigError, match="SERVER_ENCRYPTION_PAYLOADS=on"):
        check_payloads(replace(config, payloads=OFF))
    check_payloads(replace(config, payloads=READ))


def test_a_key_that_was_changed_in_the_database_is_noticed(config: Config, conninfo: str) -> None:
    check_payloads(config)
    with psycopg.connect(conninfo, autocommit=True) as opened:
        opened.execute("UPDATE engine_tenantkey SET wrapped = wrapped || '\\x00'")
    with pytest.raises(ConfigError, match="master key"):
        check_payloads(config)


def test_a_store_that_was_used_is_missed(config: Config, tmp_path: Path) -> None:
    used = PayloadConfig(threshold_bytes=4_096, directory=tmp_path / "payloads")
    check_payloads(replace(config, payloads=used))
    with pytest.raises(ConfigError, match="SERVER_PAYLOAD_STORE_KIND"):
        check_payloads(replace(config, payloads=OFF))
    check_payloads(replace(config, payloads=replace(used, threshold_bytes=None)))


def test_a_directory_that_cannot_be_written_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    payloads = PayloadConfig(threshold_bytes=4_096, directory=tmp_path / "file" / "payloads")
    with pytest.raises(ConfigError, match="SERVER_PAYLOAD_STORE_DIRECTORY"):
        check_payloads(replace(config, payloads=payloads))


def test_only_who_is_configured_for_it_seals(config: Config, tmp_path: Path) -> None:
    set_up(replace(config, payloads=OFF))
    assert sealing.sealer() is None
    for payloads in (ON, READ, PayloadConfig(directory=tmp_path)):
        set_up(replace(config, payloads=payloads))
        assert sealing.sealer() is not None


@pytest.mark.parametrize("command", ["runengine", "runweb"])
def test_processes_refuse_in_a_sentence(
    command: str, config: Config, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_payloads(config)
    settings.HATCHET = replace(config, encryption_keys=(NEW,), http_port=0, grpc_port=0)
    with pytest.raises(CommandError, match="master key that is not among those"):
        call_command(command)


def test_another_master_key_takes_over_with_a_command(
    config: Config, settings: Settings, django_db_blocker: object
) -> None:
    check_payloads(config)
    settings.HATCHET = replace(config, encryption_keys=(NEW, MASTER))
    output = StringIO()
    call_command("encryptsecrets", stdout=output)
    assert "secrets are encrypted with the first key" in output.getvalue()
    check_payloads(replace(config, encryption_keys=(NEW,)))
    settings.HATCHET = replace(config, encryption_keys=(MASTER,))
    key_changes.renew(Masters([NEW]), [new_id()])
    with pytest.raises(CommandError, match="payloads"):
        call_command("encryptsecrets", stdout=output)


@pytest.mark.django_db
def test_tenants_are_given_new_keys_with_a_command(config: Config, settings: Settings) -> None:
    from tenants.models import Tenant

    settings.HATCHET = config
    tenant = Tenant.objects.create(name="Acme", slug=f"acme-{new_id()}")
    output = StringIO()
    call_command("renewpayloadkeys", tenant.slug, stdout=output)
    assert "1 tenants" in output.getvalue()
    with pytest.raises(CommandError, match="no tenant nobody"):
        call_command("renewpayloadkeys", "nobody")
    settings.HATCHET = replace(config, payloads=OFF)
    with pytest.raises(CommandError, match="not encrypted"):
        call_command("renewpayloadkeys")
