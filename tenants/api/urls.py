"""Paths of users, tenants and tokens; no trailing slashes, a redirect would lose a body."""

from django.urls import URLPattern

from tenants.api import api_tokens, tenants, users
from tenants.rest.schema import Operation, route

_T = "api/v1/tenants/<str:tenant>"

urlpatterns: list[URLPattern] = [
    route(
        "api/v1/users/login",
        users.LoginView,
        Operation("POST", "user:update:login", "User", body="email! password!", is_public=True),
    ),
    route("api/v1/users/logout", users.LogoutView, Operation("POST", "user:update:logout", "User")),
    route(
        "api/v1/users/current",
        users.CurrentUserView,
        Operation("GET", "user:get:current", "User"),
    ),
    route(
        "api/v1/users/memberships",
        users.MembershipsView,
        Operation("GET", "tenant-memberships:list", "UserTenantMembershipsList"),
    ),
    route(
        "api/v1/api-tokens/<str:token>",
        api_tokens.RevokeApiTokenView,
        Operation("POST", "api-token:update:revoke", None),
    ),
    route(
        _T,
        tenants.TenantDetailView,
        Operation("GET", "tenant:get", "Tenant"),
        Operation("PATCH", "tenant:update", "Tenant", body="name analyticsOptOut:boolean"),
    ),
    route(
        f"{_T}/alerting/settings",
        tenants.AlertingView,
        Operation("GET", "tenant-alerting-settings:get", "TenantAlertingSettings"),
    ),
    route(
        f"{_T}/members",
        tenants.MembersView,
        Operation("GET", "tenant-member:list", "TenantMemberList"),
    ),
    route(
        f"{_T}/resource-policy",
        tenants.ResourcePolicyView,
        Operation("GET", "tenant-resource-policy:get", "TenantResourcePolicy"),
    ),
    route(
        f"{_T}/feature-flags",
        tenants.FeatureFlagView,
        Operation(
            "GET",
            "tenant:feature-flag:evaluate",
            "FeatureFlagEvaluationResult",
            query="featureFlagId! isEnabledIfNoPosthog:boolean!",
        ),
    ),
    route(
        f"{_T}/entitlements",
        tenants.EntitlementsView,
        Operation("GET", "tenant:entitlements:get", "TenantEntitlements"),
    ),
    route(
        f"{_T}/api-tokens",
        api_tokens.ApiTokensView,
        Operation("GET", "api-token:list", "ListAPITokensResponse"),
        Operation("POST", "api-token:create", "CreateAPITokenResponse", body="name! expiresIn"),
    ),
]
