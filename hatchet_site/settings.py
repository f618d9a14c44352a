"""Django settings: composition only. Every value that can differ comes from the validated config."""

from __future__ import annotations

import os
from pathlib import Path

from engine.config import Config
from hatchet_site.databases import django_database
from hatchet_site.logs import logging_config
from hatchet_site.mail import TIMEOUT_SECONDS, anymail_settings, mail_backend

BASE_DIR = Path(__file__).resolve().parent.parent
HATCHET = Config.from_environment(os.environ, BASE_DIR)

SECRET_KEY, *SECRET_KEY_FALLBACKS = HATCHET.secret_keys
DEBUG = False
ALLOWED_HOSTS = list(HATCHET.allowed_hosts)
ROOT_URLCONF = "hatchet_site.urls"
ASGI_APPLICATION = "hatchet_site.asgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "tenants.User"
LOGIN_URL = "/login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

INSTALLED_APPS = [
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "hatchet_site.account_app.AccountTables",
    "allauth.socialaccount",
    "allauth.mfa",
    "tenants",
    "engine",
    "webhooks",
    "dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "hatchet_site.security.confine_answers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
if HATCHET.exports.otlp is not None:
    MIDDLEWARE.insert(0, "hatchet_site.spans.span_requests")
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context.navigation",
            ]
        },
    }
]

DATABASES = {"default": django_database(HATCHET.database_url)}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
LOGGING = logging_config(HATCHET.log_level, HATCHET.log_format)

STATIC_URL = "/static/"
STATIC_ROOT = HATCHET.data_dir / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_NAME = HATCHET.cookie_name
SESSION_COOKIE_DOMAIN = HATCHET.cookie_domain
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HATCHET.cookie_is_secure
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 30 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [HATCHET.server_url]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if HATCHET.server_url.startswith("https://"):
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
        "UserAttributeSimilarityValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 3600
SOCIALACCOUNT_ADAPTER = "tenants.sign_in.adapter.SignInAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SOCIALACCOUNT_QUERY_EMAIL = True
MFA_ADAPTER = "hatchet_site.second_factor.EncryptingAdapter"
MFA_TOTP_TOLERANCE = 1  # half a minute to either side
ACCOUNT_USER_MODEL_USERNAME_FIELD = None

EMAIL_BACKEND = mail_backend(HATCHET.mail.kind)
EMAIL_HOST, EMAIL_PORT = HATCHET.mail.smtp_host, HATCHET.mail.smtp_port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = HATCHET.mail.username, HATCHET.mail.password
EMAIL_USE_TLS = HATCHET.mail.smtp_security == "starttls"
EMAIL_USE_SSL = HATCHET.mail.smtp_security == "tls"
EMAIL_TIMEOUT = TIMEOUT_SECONDS
DEFAULT_FROM_EMAIL = HATCHET.mail.sender
ANYMAIL = anymail_settings(HATCHET.mail)
DATA_UPLOAD_MAX_MEMORY_SIZE = HATCHET.grpc_max_message_bytes

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hatchet on Django",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["tenants.rest.schema.add_components"],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
