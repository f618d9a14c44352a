"""Paths of users, tenants and tokens; no trailing slashes, a redirect would lose a body."""

from django.urls import URLPattern

from tenants.api import answers, api_tokens, tenants, users
from tenants.rest.schema import Operation, route

_T = "api/v1/tenants/<str:tenant>"

urlpatterns: list[URLPattern] = [
    route(
        "api/v1/users/login",
        users.LoginView,
        Operation("POST", "user:update:login", answers.User, is_public=True),
    ),
    route(
        "api/v1/users/logout",
        users.LogoutView,
        Operation("POST", "user:update:logout", answers.User),
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
        "api/v1/api-tokens/<str:token>",
        api_tokens.RevokeApiTokenView,
        Operation("POST", "api-token:update:revoke", None),
    ),
    route(
        _T,
        tenants.TenantDetailView,
        Operation("GET", "tenant:get", answers.Tenant),
        Operation("PATCH", "tenant:update", answers.Tenant),
    ),
    route(
        f"{_T}/alerting/settings",
        tenants.AlertingView,
        Operation("GET", "tenant-alerting-settings:get", answers.TenantAlertingSettings),
    ),
    route(
        f"{_T}/members",
        tenants.MembersView,
        Operation("GET", "tenant-member:list", answers.TenantMemberList),
    ),
    route(
        f"{_T}/resource-policy",
        tenants.ResourcePolicyView,
        Operation("GET", "tenant-resource-policy:get", answers.TenantResourcePolicy),
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
        Operation("POST", "api-token:create", answers.CreateAPITokenResponse),
    ),
]
