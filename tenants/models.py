"""Who may do what: users, tenants, memberships and API tokens."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from tenants.audit.models import AuditEntry

__all__ = [
    "APIToken",
    "AuditEntry",
    "Member",
    "ResourceLimit",
    "RetentionPeriod",
    "Role",
    "SignInTries",
    "Tenant",
    "User",
    "UserManager",
]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, *, name: str = "") -> User:
        user = self.model(email=email.lower().strip(), name=name)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=200, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_email_verified = models.BooleanField(default=True)
    is_email_proven = models.BooleanField(default=True, db_default=True)
    """Whether mail to the address reached this person, or who runs the server vouches for it; not so
    of those who joined by a link that somebody handed to them."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()


class Environment(models.TextChoices):
    LOCAL = "local"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LivingTenants(models.Manager["Tenant"]):
    """All tenants but those that are deleted, of which only rows are left to be removed."""

    def get_queryset(self) -> models.QuerySet[Tenant]:
        return super().get_queryset().filter(deleted_at__isnull=True)


class Tenant(models.Model):
    """One isolated customer of this installation; everything else belongs to a tenant.

    An archived one can be looked at: its tokens are refused, and nothing starts in it. A deleted one is
    archived too, and nobody finds it; engines remove its rows, and this one last.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    slug = models.CharField(max_length=200, unique=True)
    environment = models.CharField(
        max_length=20,
        choices=Environment.choices,
        default=Environment.DEVELOPMENT,
        db_default=Environment.DEVELOPMENT.value,
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    alert_frequency_seconds = models.IntegerField(default=3_600, db_default=3_600)
    """How long it takes at least until people are told of the same thing again."""
    alerts_members = models.BooleanField(default=True, db_default=True)
    """Whether its members get mail about alerts; the next three are what they are alerted of."""
    alerts_of_failures = models.BooleanField(default=False, db_default=False)
    alerts_of_tokens = models.BooleanField(default=True, db_default=True)
    alerts_of_limits = models.BooleanField(default=True, db_default=True)
    last_alerted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    objects = LivingTenants()
    with_deleted = models.Manager["Tenant"]()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                condition=models.Q(alerts_of_failures=True),
                name="tenant_told_of_failures",
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Role(models.TextChoices):
    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"
    VIEWER = "VIEWER"


class Member(models.Model):
    """A user's role in a tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    can_view_payloads = models.BooleanField(default=True)
    is_by_group = models.BooleanField(default=False, db_default=False)
    """Whether it came with a group of a sign-in provider, and goes with it."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "user"], name="member_once_per_tenant")
        ]


class InviteStatus(models.TextChoices):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


class TenantInvite(models.Model):
    """A membership that is offered to whoever has a mail address. Its link is known by a digest alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invites")
    invited_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    can_view_payloads = models.BooleanField(default=True)
    status = models.CharField(
        max_length=10, choices=InviteStatus.choices, default=InviteStatus.PENDING
    )
    link_digest = models.BinaryField(unique=True)
    is_mailed = models.BooleanField(default=False)
    """Whether its link went to the address, and to nobody else."""
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=models.Q(status=InviteStatus.PENDING),
                name="invite_once_pending_per_tenant",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["email"], name="invite_by_email")]


class TokenScope(models.TextChoices):
    """What a token may do; `tenants/token_scopes.py` says it call by call."""

    FULL = "full", "Full"
    READ_ONLY = "read-only", "Read only"
    TRIGGER_ONLY = "trigger-only", "Trigger only"
    WORKER_ONLY = "worker-only", "Worker only"


class APIToken(models.Model):
    """A bearer token's record. The token itself is shown once and never stored.

    `replaced_by` is what it was rotated to; `last_used_at` is exact to some two minutes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=200)
    is_internal = models.BooleanField(default=False)
    scope = models.CharField(
        max_length=20,
        choices=TokenScope.choices,
        default=TokenScope.FULL,
        db_default=TokenScope.FULL.value,
    )
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)


class BrowserSession(models.Model):
    """Who signed in with a session, and where it was last seen; what it holds is Django's affair."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="browser_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    agent = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)


class RetentionPeriod(models.Model):
    """For how long a tenant keeps something, where that is not what holds for the installation."""

    pk = models.CompositePrimaryKey("tenant_id", "kind")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="retention_periods")
    kind = models.TextField()
    seconds = models.BigIntegerField()


class ResourceLimit(models.Model):
    """How much of a resource a tenant has, and may have where that is not what holds for the installation.

    `value` is what was taken since `window_began_at`, or counted when something was added last. `announced`
    is what was told last: 1 that the limit is near, 2 that it is reached. Written while limits are enforced.
    """

    pk = models.CompositePrimaryKey("tenant_id", "resource")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="resource_limits")
    resource = models.TextField()
    limit_value = models.BigIntegerField(null=True, blank=True)
    alarm_value = models.BigIntegerField(null=True, blank=True)
    value = models.BigIntegerField(default=0, db_default=0)
    window_began_at = models.DateTimeField(null=True, blank=True)
    announced = models.SmallIntegerField(default=0, db_default=0)


class SignInTries(models.Model):
    """A counter of tried passwords; `subject` is a kind of counter and a digest of what it is about."""

    subject = models.CharField(primary_key=True, max_length=80)
    tries = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)
