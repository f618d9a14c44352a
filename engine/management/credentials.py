"""What the person who starts an installation needs to sign in and to connect a worker."""

from __future__ import annotations

from dataclasses import dataclass

from engine import secret_files
from engine.config import Config
from tenants.bootstrap import bootstrap
from tenants.models import Tenant, User
from tenants.tokens import InvalidToken, create_token, verify_token

TOKEN_FILE_NAME = "token"
TOKEN_NAME = "make run"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What of the first start is still there: None is what was changed or taken away since."""

    email: str | None
    password: str | None
    token: str | None


def ensure_credentials(config: Config) -> Credentials:
    """Create admin, tenant and token at the first start; give the same ones every time."""
    made = bootstrap(config)
    admin = User.objects.filter(email=made.admin_email).first()
    has_first_password = admin is not None and admin.check_password(config.admin_password)
    return Credentials(
        email=None if admin is None else admin.email,
        password=config.admin_password if has_first_password else None,
        token=None if made.tenant is None else _kept_token(config, made.tenant, made.token),
    )


def how_to_connect(config: Config, credentials: Credentials) -> str:
    """Where to sign in, and the variables of a worker, ready to be pasted into a shell."""
    strategy = "none" if config.grpc_tls is None else "tls"
    return f"""\
  Dashboard   {config.server_url}
  E-mail      {credentials.email or "(yours)"}
  Password    {credentials.password or "(the one you set)"}

  A worker needs these two variables (`make worker` sets them for you):

export HATCHET_CLIENT_TOKEN="{credentials.token or "(of `manage.py createtoken`)"}"
export HATCHET_CLIENT_TLS_STRATEGY={strategy}
"""


def _kept_token(config: Config, tenant: Tenant, first_token: str | None) -> str:
    """The token kept in the data directory; a new one when that was revoked, expired or lost."""
    path = config.data_dir / TOKEN_FILE_NAME
    if first_token is None and path.exists():
        token = path.read_text().strip()
        try:
            verify_token(token)
        except InvalidToken:
            pass
        else:
            return token
    token = first_token or create_token(tenant, TOKEN_NAME)[1]
    secret_files.write(path, token)
    return token
