"""Django's settings: the one module that reads the environment (docs/operate.md, "Settings")."""

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# A demo is plain HTTP on loopback: cookies and redirects that insist on TLS would lock its user out.
DEMO = env.flag("DEMO", False)
DEBUG = False
SECRET_KEY = env.text("SECRET_KEY", expected="a long random text, the same in every process")
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS", required=True, expected="the host names that clients use, separated by commas"
)

# --- Access ----------------------------------------------------------------------------------------------
# How many proxies of ours stand in front: their X-Forwarded-For and X-Forwarded-Proto are believed, nobody else's.
TRUSTED_PROXY = env.count("TRUSTED_PROXY", 0, most=100)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY else None
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SECURE_HSTS_SECONDS = 0 if DEMO else 31_536_000
# What other names below this host may do is not ours to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
LOGIN_URL = "admin:login"
LOGOUT_REDIRECT_URL = "index"
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
AUTHENTICATION_BACKENDS = ["config.access.backend.ThrottledBackend"]
# The second bounds who tries one password on many names; a whole office may share an address.
LOGIN_FAILURES_PER_MINUTE = {"address_and_user": 10, "address": 60}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
JWT_SIGNING_KEY = env.text("JWT_SIGNING_KEY", SECRET_KEY)
JWT_VERIFYING_KEYS = env.words("JWT_VERIFYING_KEYS")
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "AUTH_TOKEN_CLASSES": ["config.access.tokens.AccessToken"],
    # A changed password ends the tokens of its user, as it ends the sessions.
    "CHECK_REVOKE_TOKEN": True,
}

# --- Wiring ----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "config.access",
    *(["config.demo"] if DEMO else []),
    "config.freshness",
    "health",
    "consistency",
    "identities",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.headers.headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
USE_I18N = False
# The session zone: timestamps without zone are read as UTC, and checks print times with to_char.
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
STATIC_URL = "static/"
# The admin's files straight from the packages: production needs no collectstatic step.
WHITENOISE_USE_FINDERS = True

# --- Stores ----------------------------------------------------------------------------------------------
POSTGRES = ("postgres", "postgresql")


def database(variable: str) -> dict[str, Any]:
    """One entry of DATABASES, on the engine that ends every wait at the caller's deadline."""
    url = env.url(variable, schemes=POSTGRES, example="postgres://user:password@host:5432/platform")
    settings: dict[str, Any] = dict(
        dj_database_url.parse(url, engine="common.postgres", conn_max_age=600, conn_health_checks=True)
    )
    settings["OPTIONS"] = {"application_name": "continuity", **settings.get("OPTIONS", {})}
    env.check_database(variable, settings)
    return settings


def alias(variable: str) -> str:
    """The name of another database, the end of its variable."""
    name = variable.removeprefix("DATABASE_URL_").lower()
    if name in ("", "default"):
        raise env.SettingError(f"{variable} would stand for DATABASE_URL. Expected: another name after DATABASE_URL_.")
    return name


DATABASES = {"default": database("DATABASE_URL")} | {
    alias(name): database(name) for name in sorted(env.names()) if name.startswith("DATABASE_URL_")
}
REDIS_URL = env.redis("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        # The platform keeps its own keys there.
        "KEY_PREFIX": "continuity",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            # redis-py retries ten times by default: ten seconds of silence where half a second should be the end.
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},
        },
    },
    # Where login throttling counts while Redis is down; roomy, since what is culled is forgiven.
    "memory": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "continuity",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    },
}
QDRANT_URL = env.url("QDRANT_URL", schemes=("http", "https"), example="http://host:6333")
QDRANT_API_KEY = env.key("QDRANT_API_KEY")
QDRANT_COLLECTIONS = env.words("QDRANT_COLLECTIONS")

# --- The platform ----------------------------------------------------------------------------------------
SCRIPTS_DIR = env.folder("SCRIPTS_DIR")
MODELS_DIR = env.folder("MODELS_DIR")
MIGRATIONS_DIR = env.folder("MIGRATIONS_DIR")
IDENTITIES_DIR = env.folder("IDENTITIES_DIR")
PROCESSORS = ("asr", "yolo", "face", "pose", "ocr", "cut", "scene", "asrx", "visual_chunk")
PIPELINE_PROCESSORS = {name: f"{name}_processor.py" for name in PROCESSORS} | env.pairs("PIPELINE_PROCESSORS")
FFMPEG = env.text("FFMPEG", "ffmpeg")
SFTPGO_URL = env.url("SFTPGO_URL", "", schemes=("http", "https"), example="http://host:8080")
SFTPGO_API_KEY = env.key("SFTPGO_API_KEY")
SFTPGO_USER = env.text("SFTPGO_USER", "")
SFTPGO_PASSWORD = env.text("SFTPGO_PASSWORD", "")
TMDB_API_KEY = env.key("TMDB_API_KEY")
TMDB_ENABLED = env.flag("TMDB_ENABLED", False)
TMDB_URL = env.url(
    "TMDB_URL",
    "https://api.themoviedb.org/3",
    schemes=("http", "https"),
    example="https://api.themoviedb.org/3",
)
BUILD_GIT_HASH = env.text("BUILD_GIT_HASH", "")
BUILD_TIMESTAMP = env.moment("BUILD_TIMESTAMP")
# Checks that run by default beside the contract's four.
CONSISTENCY_CHECKS = env.words("CONSISTENCY_CHECKS")
# Seconds between the two looks of a scan that is recorded; 0: one look.
CONSISTENCY_CONFIRM = env.count("CONSISTENCY_CONFIRM", 0, most=3_600)
# Days: the longest acknowledgement; how long scans, and anomalies that are resolved, are remembered.
CONSISTENCY_MAX_ACKNOWLEDGE = env.count("CONSISTENCY_MAX_ACKNOWLEDGE", 90, least=1, most=36_500)
CONSISTENCY_KEEP_SCANS = env.count("CONSISTENCY_KEEP_SCANS", 90, least=1, most=36_500)
CONSISTENCY_KEEP_RESOLVED = env.count("CONSISTENCY_KEEP_RESOLVED", 180, least=1, most=36_500)
# Hours: a last complete scan that is older is a warning; 0: it never is.
CONSISTENCY_MAX_AGE = env.count("CONSISTENCY_MAX_AGE", 26, most=87_600)

# --- Notices ---------------------------------------------------------------------------------------------
CONSISTENCY_WEBHOOK_URL = env.url(
    "CONSISTENCY_WEBHOOK_URL", "", schemes=("http", "https"), example="https://chat.example/hooks/continuity"
)
# What is not signed is not sent.
CONSISTENCY_WEBHOOK_SECRET = env.text(
    "CONSISTENCY_WEBHOOK_SECRET",
    None if CONSISTENCY_WEBHOOK_URL else "",
    expected="a long random text that the receiver knows too, since CONSISTENCY_WEBHOOK_URL is set",
)
ADMINS = [("", address) for address in env.words("ADMINS")]
SERVER_EMAIL = env.text("SERVER_EMAIL", "continuity@localhost")
EMAIL_SUBJECT_PREFIX = "[Continuity] "
EMAIL_TIMEOUT = 5
EMAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
mail = urlsplit(
    env.url("EMAIL_URL", "smtp://localhost:25", schemes=tuple(EMAIL_PORTS), example="smtp+tls://user:password@host:587")
)
EMAIL_HOST, EMAIL_PORT = mail.hostname or "localhost", mail.port or EMAIL_PORTS[mail.scheme]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(mail.username or ""), unquote(mail.password or "")
EMAIL_USE_TLS, EMAIL_USE_SSL = mail.scheme == "smtp+tls", mail.scheme == "smtps"

# --- REST ------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.access.parsers.JSONParser"],
    # JWT first: DRF takes the WWW-Authenticate of a 401 from the first, and answers 403 where that one has none.
    # The session last: a header is sent on purpose, a cookie comes along.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.access.authentication.JWTAuthentication",
        "config.access.authentication.APIKeyAuthentication",
        "config.access.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # The Accept header chooses; `?format=` is an unknown parameter like any other.
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "config.errors.exception_handler",
    "NUM_PROXIES": TRUSTED_PROXY,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Continuity",
    "DESCRIPTION": "Health and consistency for media pipelines.",
    "VERSION": VERSION,
    "TAGS": [{"name": "health"}, {"name": "consistency"}, {"name": "stats"}, {"name": "access"}],
    # 3.1 is JSON Schema itself: answers can be held against it.
    "OAS_VERSION": "3.1.0",
    "DEFAULT_GENERATOR_CLASS": "config.openapi.Generator",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.openapi.add_failures"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/favicon.ico",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "displayRequestDuration": True, "tryItOutEnabled": True},
}

# --- Logging ---------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # A stderr copy of Django's own handlers would mail ADMINS or print twice.
    "loggers": {
        "django": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        # Scanners with foreign host names and missing credentials: the access log's matter, not an operator's.
        "django.request": {"level": "CRITICAL" if LOG_LEVEL == "CRITICAL" else "ERROR"},
        # It writes a line per request, with the URL: TMDB's key is part of that.
        "httpx": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
