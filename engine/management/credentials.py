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
    """`password` is None when the admin has changed it since the first start."""

    email: str
    password: str | None
    token: str


def ensure_credentials(config: Config) -> Credentials:
    """Create admin, tenant and token where they are missing; give the same ones every time."""
    made = bootstrap(config)
    admin = User.objects.get(email=made.admin_email)
    is_first_password = made.admin_password or admin.check_password(config.admin_password)
    return Credentials(
        email=made.admin_email,
        password=config.admin_password if is_first_password else None,
        token=_kept_token(config, made.tenant, made.token),
    )


def how_to_connect(config: Config, credentials: Credentials) -> str:
    """Where to sign in, and the variables of a worker, ready to be pasted into a shell."""
    strategy = "none" if config.grpc_tls is None else "tls"
    return f"""\
  Dashboard   {config.server_url}
  E-mail      {credentials.email}
  Password    {credentials.password or "(the one you set)"}

  A worker needs these two variables (`make worker` sets them for you):

export HATCHET_CLIENT_TOKEN="{credentials.token}"
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
