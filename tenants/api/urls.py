"""Paths of users, tenants and tokens; no trailing slashes, a redirect would lose a body."""

from django.urls import path

from tenants.api import api_tokens, tenants, users

TENANT = "api/v1/tenants/<str:tenant>"

urlpatterns = [
    path("api/v1/users/login", users.LoginView.as_view()),
    path("api/v1/users/logout", users.LogoutView.as_view()),
    path("api/v1/users/current", users.CurrentUserView.as_view()),
    path("api/v1/users/memberships", users.MembershipsView.as_view()),
    path("api/v1/api-tokens/<str:token>", api_tokens.RevokeApiTokenView.as_view()),
    path(TENANT, tenants.TenantDetailView.as_view()),
    path(f"{TENANT}/members", tenants.MembersView.as_view()),
    path(f"{TENANT}/resource-policy", tenants.ResourcePolicyView.as_view()),
    path(f"{TENANT}/feature-flags", tenants.FeatureFlagView.as_view()),
    path(f"{TENANT}/entitlements", tenants.EntitlementsView.as_view()),
    path(f"{TENANT}/api-tokens", api_tokens.ApiTokensView.as_view()),
]
