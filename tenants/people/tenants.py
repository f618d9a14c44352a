"""Making, renaming, archiving and deleting tenants."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.db.models import CASCADE, ManyToOneRel
from django.utils import timezone

from tenants.access import TenantAccess
from tenants.installation import installation
from tenants.models import Environment, Member, Role, Tenant, User
from tenants.people.changing import changing
from tenants.people.refusals import Forbidden, Refused
from tenants.people.texts import clean_name
from tenants.sessions import tell_that_somebody_left
from tenants.tokens import ask_anew_about_tokens

LONGEST_SLUG = 100
MOST_OWNED = 100
"""Tenants that one person may have made and still own."""
SWITCHED_OFF = "making tenants is switched off on this server"
_OF_ENGINES = "engine"
_SLUG = re.compile(r"[A-Za-z0-9_-]+")


def create_tenant(
    user: User, *, name: str, slug: str, environment: Environment = Environment.DEVELOPMENT
) -> Tenant:
    """Make a tenant that `user` owns; its slug is its place in addresses, and stays."""
    if not installation().people.allow_create_tenant:
        raise Refused(SWITCHED_OFF)
    clean, part = clean_name(name), _clean_slug(slug)
    with transaction.atomic():
        # Whoever makes tenants does it one at a time: nobody gets past the bound.
        User.objects.select_for_update(no_key=True).get(id=user.id)
        owned = Member.objects.filter(user=user, role=Role.OWNER).count()
        if owned >= MOST_OWNED:
            raise Forbidden(f"one person owns at most {MOST_OWNED} tenants")
        try:
            with transaction.atomic():
                if Tenant.with_deleted.filter(slug__iexact=part).exists():
                    raise IntegrityError
                tenant = Tenant.objects.create(name=clean, slug=part, environment=environment)
        except IntegrityError as error:
            raise Refused(f'a tenant with the slug "{part}" exists', field="slug") from error
        Member.objects.create(tenant=tenant, user=user, role=Role.OWNER)
    return tenant


def rename_tenant(access: TenantAccess, name: str) -> Tenant:
    tenant = access.tenant
    tenant.name = clean_name(name)
    tenant.save(update_fields=["name", "updated_at"])
    return tenant


def archive_tenant(access: TenantAccess) -> Tenant:
    """Put a tenant to rest: its tokens are refused, and nothing starts in it until it is back."""
    return _set_archived(access, is_archived=True)


def unarchive_tenant(access: TenantAccess) -> Tenant:
    return _set_archived(access, is_archived=False)


def delete_tenant(access: TenantAccess, confirm: str) -> None:
    """Delete a tenant and all that is in it, if `confirm` is its slug.

    Nobody can enter from now on, and its slug is free. Its rows are removed by the engines, some at a
    time: there may be millions.
    """
    with changing(access, Role.OWNER) as actor:
        tenant = actor.tenant
        if confirm != tenant.slug:
            raise Refused(f'confirm must be "{tenant.slug}"', field="confirm")
        ask_anew_about_tokens(tenant)
        _delete_what_belongs_to(tenant)
        now = timezone.now()
        tenant.name = tenant.slug = f"deleted-{tenant.id}"
        tenant.deleted_at, tenant.archived_at = now, tenant.archived_at or now
        tenant.save(update_fields=["name", "slug", "deleted_at", "archived_at", "updated_at"])
        tell_that_somebody_left()


def _delete_what_belongs_to(tenant: Tenant) -> None:
    """Whatever app it is in, but for the engines' rows: those are worked on until they are removed."""
    for relation in Tenant._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ManyToOneRel) or relation.on_delete is not CASCADE:
            continue
        if (model := relation.related_model)._meta.app_label != _OF_ENGINES:
            model._base_manager.filter(**{relation.field.name: tenant}).delete()


def _set_archived(access: TenantAccess, *, is_archived: bool) -> Tenant:
    with changing(access, Role.OWNER) as actor:
        tenant = actor.tenant
        if (tenant.archived_at is not None) != is_archived:
            tenant.archived_at = timezone.now() if is_archived else None
            tenant.save(update_fields=["archived_at", "updated_at"])
            ask_anew_about_tokens(tenant)
    return tenant


def _clean_slug(given: str) -> str:
    if not _SLUG.fullmatch(given) or len(given) > LONGEST_SLUG:
        sentence = f"slug must be 1 to {LONGEST_SLUG} letters, digits, - and _"
        raise Refused(sentence, field="slug")
    return given
