"""Paths of users, tenants and tokens; no trailing slashes, a redirect would lose a body."""

from http import HTTPStatus

from django.urls import URLPattern

from tenants.api import answers, api_tokens, audit, invites, members, sign_in, tenants, users
from tenants.audit.declared import TOLD_BY_SESSIONS, Changes
from tenants.rest.schema import Operation, route

_T = "api/v1/tenants/<str:tenant>"

urlpatterns: list[URLPattern] = [
    route(
        "api/v1/users/login",
        users.LoginView,
        Operation(
            "POST", "user:update:login", answers.User, is_public=True, audits=TOLD_BY_SESSIONS
        ),
    ),
    route(
        "api/v1/users/register",
        users.RegisterView,
        Operation(
            "POST",
            "user:create",
            answers.User,
            is_public=True,
            audits=Changes("user.register", in_parts=True),
        ),
    ),
    route(
        "api/v1/users/password",
        users.PasswordView,
        Operation(
            "POST",
            "user:update:password",
            answers.User,
            audits=Changes("user.change_password", in_parts=True),
        ),
    ),
    *(
        route(
            f"api/v1/users/{scheme}/{way}",
            sign_in.view_of(scheme, way),
            Operation("GET", f"user:update:{scheme}-oauth-{way}", None, is_public=True, status=302),
        )
        for scheme in ("google", "github", "oidc")
        for way in ("start", "callback")
    ),
    route(
        "api/v1/users/logout",
        users.LogoutView,
        Operation("POST", "user:update:logout", answers.User, audits=TOLD_BY_SESSIONS),
    ),
    route(
        "api/v1/users/current",
        users.CurrentUserView,
        Operation("GET", "user:get:current", answers.User),
    ),
    route(
        "api/v1/users/memberships",
        users.MembershipsView,
        Operation("GET", "tenant-memberships:list", answers.UserTenantMembershipsList),
    ),
    route(
        "api/v1/users/invites",
        invites.OwnInvitesView,
        Operation("GET", "user:list:tenant-invites", answers.TenantInviteList),
    ),
    route(
        "api/v1/users/invites/accept",
        invites.AcceptInviteView,
        Operation(
            "POST", "tenant-invite:accept", None, status=200, audits=Changes("invite.accept")
        ),
    ),
    route(
        "api/v1/users/invites/reject",
        invites.RejectInviteView,
        Operation(
            "POST", "tenant-invite:reject", None, status=200, audits=Changes("invite.reject")
        ),
    ),
    route(
        "api/v1/tenants",
        tenants.TenantsView,
        Operation("POST", "tenant:create", answers.Tenant, audits=Changes("tenant.create")),
    ),
    route(
        "api/v1/api-tokens/<str:token>",
        api_tokens.RevokeApiTokenView,
        Operation("POST", "api-token:update:revoke", None, audits=Changes("token.revoke")),
    ),
    route(
        "api/v1/api-tokens/<str:token>/rotate",
        api_tokens.RotateApiTokenView,
        Operation(
            "POST",
            "api-token:rotate",
            answers.RotateAPITokenResponse,
            audits=Changes("token.rotate"),
        ),
    ),
    route(
        _T,
        tenants.TenantDetailView,
        Operation("GET", "tenant:get", answers.Tenant),
        Operation("PATCH", "tenant:update", answers.Tenant, audits=Changes("tenant.update")),
        Operation("DELETE", "tenant:delete", None, audits=Changes("tenant.delete")),
    ),
    route(
        f"{_T}/archive",
        tenants.ArchiveView,
        Operation("POST", "tenant:archive", answers.Tenant, audits=Changes("tenant.archive")),
    ),
    route(
        f"{_T}/unarchive",
        tenants.UnarchiveView,
        Operation("POST", "tenant:unarchive", answers.Tenant, audits=Changes("tenant.unarchive")),
    ),
    route(
        f"{_T}/leave",
        members.LeaveView,
        Operation("POST", "tenant:leave", None, audits=Changes("member.leave")),
    ),
    route(
        f"{_T}/alerting/settings",
        tenants.AlertingView,
        Operation("GET", "tenant-alerting-settings:get", answers.TenantAlertingSettings),
    ),
    route(
        f"{_T}/members",
        members.MembersView,
        Operation("GET", "tenant-member:list", answers.TenantMemberList),
    ),
    route(
        f"{_T}/members/<str:member>",
        members.MemberView,
        Operation(
            "PATCH", "tenant-member:update", answers.TenantMember, audits=Changes("member.update")
        ),
        Operation("DELETE", "tenant-member:delete", None, audits=Changes("member.delete")),
    ),
    route(
        f"{_T}/invites",
        invites.InvitesView,
        Operation("GET", "tenant-invite:list", answers.TenantInviteList),
        Operation(
            "POST",
            "tenant-invite:create",
            answers.TenantInvite,
            status=201,
            audits=Changes("invite.create"),
        ),
    ),
    route(
        f"{_T}/invites/<str:invite>",
        invites.InviteView,
        Operation(
            "PATCH", "tenant-invite:update", answers.TenantInvite, audits=Changes("invite.update")
        ),
        Operation(
            "DELETE", "tenant-invite:delete", answers.TenantInvite, audits=Changes("invite.delete")
        ),
    ),
    route(
        f"{_T}/invites/<str:invite>/renew",
        invites.RenewInviteView,
        Operation(
            "POST", "tenant-invite:renew", answers.TenantInvite, audits=Changes("invite.renew")
        ),
    ),
    route(
        f"{_T}/feature-flags",
        tenants.FeatureFlagView,
        Operation(
            "GET",
            "tenant:feature-flag:evaluate",
            answers.FeatureFlagEvaluationResult,
        ),
    ),
    route(
        f"{_T}/entitlements",
        tenants.EntitlementsView,
        Operation("GET", "tenant:entitlements:get", answers.TenantEntitlements),
    ),
    route(
        f"{_T}/api-tokens",
        api_tokens.ApiTokensView,
        Operation("GET", "api-token:list", answers.ListAPITokensResponse),
        Operation(
            "POST",
            "api-token:create",
            answers.CreateAPITokenResponse,
            audits=Changes("token.create"),
        ),
    ),
    route(
        f"{_T}/audit",
        audit.AuditView,
        Operation("GET", "audit-log:list", answers.AuditLogEntryList),
    ),
    route(
        f"{_T}/audit/export",
        audit.AuditExportView,
        Operation(
            "GET",
            "audit-log:export",
            answers.AuditLogEntry,
            media_type=audit.NDJSON,
            also_refuses=(HTTPStatus.TOO_MANY_REQUESTS,),
        ),
    ),
    route(
        f"{_T}/audit/export.csv",
        audit.AuditCsvView,
        Operation(
            "GET",
            "audit-log:export-csv",
            str,
            media_type=audit.CSV,
            also_refuses=(HTTPStatus.TOO_MANY_REQUESTS,),
        ),
    ),
]
