"""What allauth asks us while it speaks with another service, and what we do when somebody comes back from it.

allauth sends people there, checks that who comes back is who left (state, PKCE), and gets and verifies
what the service says. Who is let in, and the session, are ours.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from tenants.installation import installation
from tenants.models import User
from tenants.people.refusals import Refused
from tenants.sign_in.admit import Profile, admit
from tenants.sign_in.enter import enter

FAILED = "Signing in with the other service did not work. Try again."
CANCELLED = "Signing in was cancelled at the other service."
_LONGEST_LOGGED = 300

logger = logging.getLogger(__name__)


class SignInAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def list_apps(
        self, request: HttpRequest | None, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The services of the configuration, and no others: rows could be added by whoever writes rows."""
        sign_in = installation().sign_in
        found = []
        for name in ("google", "github", "oidc"):
            service = getattr(sign_in, name)
            if service is None or provider not in {None, name}:
                continue
            app = SocialApp(
                provider=name,
                name=name,
                client_id=service.client_id,
                secret=service.client_secret,
            )
            app.settings = {"scope": list(service.scopes), "oauth_pkce_enabled": True}
            if sign_in.oidc is not None and name == "oidc":
                app.provider_id = name
                app.settings["server_url"] = sign_in.oidc.issuer
            found.append(app)
        return found

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> NoReturn:
        """Take over: what allauth would do next is for sites that use its accounts."""
        try:
            answer = _let_in(request, sociallogin)
        except Refused as refused:
            answer = go_back(request, str(refused))
        raise ImmediateHttpResponse(answer)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: object = None,
    ) -> NoReturn:
        cause = repr(exception or error)[:_LONGEST_LOGGED]
        logger.warning("signing in with %s failed: %s", provider.id, cause)
        sentence = CANCELLED if str(error) == "cancelled" else FAILED
        raise ImmediateHttpResponse(go_back(request, sentence))


def go_back(request: HttpRequest, sentence: str) -> HttpResponse:
    """To the page of signing in, which says the sentence. It is kept, not put into the address: anybody could."""
    messages.error(request, sentence)
    return HttpResponseRedirect(reverse("dashboard:sign_in"))


def _let_in(request: HttpRequest, sociallogin: SocialLogin) -> HttpResponse:
    account = sociallogin.account
    known = account.user if account.pk else None
    try:
        with transaction.atomic():
            user = admit(profile_of(sociallogin), known)
            if known is None:
                _remember(account, user)
    except IntegrityError:  # they came back twice at once, and the other was first
        raise Refused(FAILED) from None
    return enter(request, user, sociallogin.state.get("next") or "/")


def _remember(account: SocialAccount, user: User) -> None:
    account.user = user
    account.save(force_insert=True)


def profile_of(sociallogin: SocialLogin) -> Profile:
    """What the service says, in our words: the first address that it has verified, or the first it has."""
    account = sociallogin.account
    # `verified` is what the service said, of whatever type: only true is true.
    addresses = sorted(
        sociallogin.email_addresses, key=lambda one: (one.verified is not True, not one.primary)
    )
    first = addresses[0] if addresses else None
    said = sociallogin.said
    claims = (
        {**said.get("userinfo", {}), **said.get("id_token", {})}
        if account.provider == "oidc"
        else said
    )
    return Profile(
        email=first.email if first else "",
        is_email_verified=first is not None and first.verified is True,
        name=str(claims.get("name") or ""),
        groups=_groups(claims) if account.provider == "oidc" else None,
    )


def _groups(claims: dict[str, Any]) -> frozenset[str] | None:
    oidc = installation().sign_in.oidc
    if oidc is None or not oidc.group_roles:
        return None
    said = claims.get(oidc.groups_claim, [])
    words = said if isinstance(said, list) else [said]
    return frozenset(word for word in words if isinstance(word, str))
