"""The services that people may sign in with, as allauth knows them.

To what allauth does, OpenID Connect gets a nonce here, and tokens whose signature is verified though they
came over TLS.
"""

from __future__ import annotations

import hashlib
from typing import Any

import jwt
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.google.provider import GoogleProvider
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from tenants.installation import installation

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Those with a public key: with the others our own secret would do as a signature."""
_LEEWAY_SECONDS = 60


def callback_of(scheme: str) -> str:
    """Where a service sends people back to; what a request calls this site may be made up."""
    return f"{installation().server_url}/api/v1/users/{scheme}/callback"


class _ComesBackToUs(OAuth2Adapter):  # type: ignore[misc]  # allauth is untyped
    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_of(app.provider)


class GoogleAdapter(_ComesBackToUs, GoogleOAuth2Adapter):  # type: ignore[misc]
    """Google."""


class GitHubAdapter(_ComesBackToUs, GitHubOAuth2Adapter):  # type: ignore[misc]
    """GitHub."""


def nonce_of(state: str) -> str:
    """What only who was given the state can know: no token of another sign-in carries it."""
    return hashlib.sha256(f"nonce of {state}".encode()).hexdigest()


class _NonceClient(OAuth2Client):  # type: ignore[misc]
    def get_redirect_url(self, authorization_url: str, scope: Any, extra_params: Any) -> str:
        nonce = {"nonce": nonce_of(str(self.state))}
        return str(super().get_redirect_url(authorization_url, scope, {**extra_params, **nonce}))


class OidcAdapter(_ComesBackToUs, OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    client_class = _NonceClient

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        if config.get("issuer") != self.get_provider().app.settings["server_url"]:
            raise OAuth2Error("the description is of another issuer")
        return config

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        if not kwargs["response"].get("id_token"):
            raise OAuth2Error("no id_token")
        login = super().complete_login(request, app, token, **kwargs)
        said = login.said
        if said["id_token"]["sub"] != said["userinfo"].get("sub"):
            raise OAuth2Error("userinfo of somebody else")
        return login

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key=self._key_of(id_token),
                algorithms=_ALGORITHMS,
                issuer=app.settings["server_url"],
                audience=app.client_id,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"bad id_token: {error}") from error
        if claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("the id_token is for another client")
        wanted = nonce_of(self.request.GET.get("state", ""))
        if not constant_time_compare(str(claims.get("nonce")), wanted):
            raise OAuth2Error("the id_token has another nonce")
        return claims

    def _key_of(self, id_token: str) -> Any:
        """The provider's key that a token says it was signed with; a provider with one key need not name it."""
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        named = jwt.get_unverified_header(id_token).get("kid")
        fitting = [key for key in keys if named in {None, key.key_id}]
        if len(fitting) != 1:
            raise OAuth2Error("the id_token does not say which key it was signed with")
        return fitting[0].key


class _KeepsNothing(OAuth2Provider):  # type: ignore[misc]
    def sociallogin_from_response(
        self, request: HttpRequest, response: dict[str, Any]
    ) -> SocialLogin:
        """What a service says of people decides this sign-in, and is not stored."""
        login = super().sociallogin_from_response(request, response)
        login.said, login.account.extra_data = response, {}
        return login


class GoogleService(_KeepsNothing, GoogleProvider):  # type: ignore[misc]
    oauth2_adapter_class = GoogleAdapter


class GitHubService(_KeepsNothing, GitHubProvider):  # type: ignore[misc]
    oauth2_adapter_class = GitHubAdapter


class OidcService(_KeepsNothing, OpenIDConnectProvider):  # type: ignore[misc]
    id = "oidc"
    oauth2_adapter_class = OidcAdapter

    def wk_server_url(self, url: str) -> str:
        return f"{url.rstrip('/')}/.well-known/openid-configuration"


SERVICES = (GoogleService, GitHubService, OidcService)
