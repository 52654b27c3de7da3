"""All settings. What a person may set comes from the environment, through readers that refuse a wrong value."""

import os
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from webapp.private_files import keep_private
from webapp.secret_key import secret_keys
from webapp.timing import timing_from_environment

BASE_DIR = Path(__file__).resolve().parent.parent


def env_whole(name: str, default: int, *, at_least: int = 0) -> int:
    value = os.environ.get(name, str(default))
    if not value.isascii() or not value.isdigit():
        raise ImproperlyConfigured(f"{name}={value!r}: give a whole number.")
    if int(value) < at_least:
        raise ImproperlyConfigured(f"{name}={value}: give {at_least} or more.")
    return int(value)


def env_bool(name: str, default: bool) -> bool:
    value = os.environ.get(name, "yes" if default else "no").lower()
    if value not in ("yes", "no"):
        raise ImproperlyConfigured(f"{name}={value!r}: say yes or no.")
    return value == "yes"


def env_choice(name: str, choices: tuple[str, ...]) -> str:
    """The first one is the default."""
    value = os.environ.get(name, choices[0]).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r}: say {', '.join(choices[:-1])} or {choices[-1]}.")
    return value


def env_list(name: str, default: list[str]) -> list[str]:
    value = os.environ.get(name)
    return default if value is None else [item.strip() for item in value.split(",") if item.strip()]


def env_networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Addresses and networks, as in `10.0.0.7,172.18.0.0/16`."""
    try:
        return [ip_network(item) for item in env_list(name, [])]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}. Give addresses or networks, as in 172.18.0.0/16.") from error


def env_hosts(name: str, default: list[str], *, debug: bool) -> list[str]:
    """The names the server answers to. Any name at all would let a web page elsewhere speak to it (DNS rebinding)."""
    hosts = env_list(name, default)
    if "*" in hosts:
        raise ImproperlyConfigured(f"{name}: “*” answers to every name. List the names people use.")
    if debug and (others := [host for host in hosts if host not in LOOPBACK_HOSTS]):
        raise ImproperlyConfigured(
            f"GRAFTWORK_DEBUG=yes shows settings and code to whoever causes an error. Set it to no, or leave "
            f"{', '.join(others)} out of {name}."
        )
    return hosts


DATA_DIR = Path(os.environ.get("GRAFTWORK_HOME", BASE_DIR / "var")).absolute()
keep_private(DATA_DIR)

SECRET_KEY, *SECRET_KEY_FALLBACKS = secret_keys(DATA_DIR / "secret_key")
DEBUG = env_bool("GRAFTWORK_DEBUG", False)
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env_hosts("GRAFTWORK_ALLOWED_HOSTS", LOOPBACK_HOSTS, debug=DEBUG)
CSRF_TRUSTED_ORIGINS = env_list("GRAFTWORK_TRUSTED_ORIGINS", [])
TRUSTED_PROXIES = env_networks("GRAFTWORK_TRUSTED_PROXIES")
"""Whose X-Forwarded headers are believed; `webapp.client_address` drops everyone else's."""
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_htmx",
    "webapp.audit",
    "webapp.accounts",
    "webapp.limits",
    "webapp.hub_tokens",
    "webapp.datasets",
    "webapp.base_models",
    "webapp.workers",
    "webapp.errands",
    "webapp.webhooks",
    "webapp.jobs",
    "webapp.adapters",
    "webapp.local",
]

MIDDLEWARE = [
    "webapp.security_headers.PermissionsPolicyMiddleware",
    "webapp.client_address.DropUntrustedHeaders",
    "django.middleware.security.SecurityMiddleware",
    "webapp.health.HealthMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    # Whatever sets headers stands before what may fail, so that the answer to a failure has them too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # The last one: it runs the views that change something.
    "webapp.audit.middleware.AuditMiddleware",
    "webapp.too_many_requests.TooManyRequestsMiddleware",
    "webapp.http.refusals.RefusalMiddleware",
]

ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"

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
                "webapp.broker_watch.broker",
            ],
            "builtins": ["webapp.shown"],
            "libraries": {"usage": "webapp.usage.tags"},
        },
    },
]

# IMMEDIATE takes the write lock at BEGIN, so two writers queue instead of failing with "database is locked".
# FULL keeps the last commit through a power cut: a job that was accepted is never lost.
_SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
# A peer that vanished must be noticed in seconds, not after the kernel's two hours: a worker renews, a page answers.
# And a process that freezes or loses its network in mid-transaction must not hold its rows from the reconciler.
_POSTGRESQL_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c lock_timeout=20s -c idle_in_transaction_session_timeout=30s -c tcp_user_timeout=15s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
DATABASES = {
    "default": dj_database_url.config(
        env="GRAFTWORK_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'graftwork.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = _SQLITE_OPTIONS
else:
    # What the address itself says, as in `?sslmode=require`, outweighs ours.
    DATABASES["default"]["OPTIONS"] = {**_POSTGRESQL_OPTIONS, **DATABASES["default"].get("OPTIONS", {})}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = os.environ.get("GRAFTWORK_BROKER_URL", "")
"""Empty: no broker, as in tests; a job is then found when a worker looks."""

WORKER_DATABASE_URL = os.environ.get("GRAFTWORK_WORKER_DATABASE_URL") or os.environ.get("GRAFTWORK_DATABASE_URL", "")
WORKER_BROKER_URL = os.environ.get("GRAFTWORK_WORKER_BROKER_URL") or BROKER_URL
"""What a joining worker is told; it may have to reach the services under other names than the web does."""

TIMING = timing_from_environment()

ENGINE_MODULE = os.environ.get("GRAFTWORK_ENGINE_MODULE", "worker.engine")
"""The program a worker runs on a job's folder; tests of many jobs put one without torch here."""
STANDBY = env_bool("GRAFTWORK_STANDBY", True)
"""Whether each slot keeps one process ready for its next job: about half a gigabyte for a start within a second."""

HUB = env_choice("GRAFTWORK_HUB", ("members", "admins", "off"))
"""Who may fetch base models from the Hugging Face Hub."""
HUB_LIMIT_BYTES = env_whole("GRAFTWORK_HUB_LIMIT_GB", 20) * 1_000_000_000
HUB_IS_OFFLINE = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
"""The library's own switch; where it is set, nobody is asked to wait for an answer that cannot come."""

WEBHOOK_PRIVATE_ADDRESSES = env_bool("GRAFTWORK_WEBHOOK_PRIVATE_ADDRESSES", False)
"""Whether webhooks may go to private networks and to this machine; metadata services of clouds they never reach."""

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["webapp.accounts.backends.ThrottledBackend"]
PASSWORD_HASHERS = [
    "webapp.accounts.hashers.Argon2",
    # Passwords of older installations; each is hashed again by the first one when its owner signs in.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

HTTPS = env_bool("GRAFTWORK_HTTPS", False)
"""People reach the app by https alone, mostly through a proxy: then name that one in GRAFTWORK_TRUSTED_PROXIES."""
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# A browser takes `__Host-` cookies from this very host over https only: no other host of the domain can plant one.
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Probes come over plain http from the machine itself.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
# Browsers' built-in list of https hosts is public and hard to leave: the owner of the domain decides about it.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "webapp" / "static"]
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# How much one person may use, 0 for no limit. Admins set other values in the app, see `webapp.limits`.
LIMIT_RUNNING_JOBS = env_whole("GRAFTWORK_LIMIT_RUNNING_JOBS", 0)
LIMIT_QUEUED_JOBS = env_whole("GRAFTWORK_LIMIT_QUEUED_JOBS", 200)
LIMIT_STORED_MB = env_whole("GRAFTWORK_LIMIT_STORED_MB", 0)
LIMIT_UPLOADS_PER_MINUTE = env_whole("GRAFTWORK_LIMIT_UPLOADS_PER_MINUTE", 60)

HEADER_SECONDS = env_whole("GRAFTWORK_HEADER_SECONDS", 20, at_least=1)
"""Within which a request's headers have to be there."""
BODY_SECONDS = env_whole("GRAFTWORK_BODY_SECONDS", 30, at_least=1)
BODY_BYTES_PER_SECOND = env_whole("GRAFTWORK_BODY_BYTES_PER_SECOND", 5_000, at_least=1)
"""A body may be waited for so long, and a second more for so many bytes of it as have arrived."""
UPLOAD_LIMIT_BYTES = env_whole("GRAFTWORK_UPLOAD_LIMIT_MB", 200) * 1_000_000
FILE_UPLOAD_HANDLERS = [
    "webapp.datasets.upload_limit.UploadLimitHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "incoming"
with suppress(OSError):  # Django's own check says it better.
    FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"one_line_an_outage": {"()": "webapp.unavailable.OneLineAnOutage"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["one_line_an_outage"]},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    # The demo's client asks once a second; its requests are no news.
    "loggers": {"httpx": {"level": "WARNING"}},
}
