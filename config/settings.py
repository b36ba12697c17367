"""Django's settings, read from the environment (docs/operate.md, "Settings")."""

import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.backoff import NoBackoff
from redis.retry import Retry

from config import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# The demo is plain HTTP on loopback. Secure cookies and redirects to TLS would lock the user out.
DEMO = env.flag("DEMO", False)
DEBUG = False
SECRET_KEY = env.text("SECRET_KEY", expected="a long random text, the same in every process")
ALLOWED_HOSTS = env.strings(
    "ALLOWED_HOSTS", required=True, expected="the host names that clients use, separated by commas"
)

# --- Access ----------------------------------------------------------------------------------------------
# The number of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted.
TRUSTED_PROXY = env.integer("TRUSTED_PROXY", 0, most=100)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY else None
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SECURE_HSTS_SECONDS = 0 if DEMO else 31_536_000
# HSTS for subdomains and preloading are decisions of the domain's owner.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = env.strings("CSRF_TRUSTED_ORIGINS")
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "index"
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
PASSWORD_HASHERS = ["config.access.hashers.BoundedPBKDF2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["config.access.backend.ThrottledBackend"]
# The limit by address stops a client that tries a password on many names. A whole office may share an address.
LOGIN_FAILURES_PER_MINUTE = {"address_and_user": 10, "address": 60}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
JWT_SIGNING_KEY = env.text("JWT_SIGNING_KEY", SECRET_KEY)
JWT_VERIFYING_KEYS = env.strings("JWT_VERIFYING_KEYS")
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "AUTH_TOKEN_CLASSES": ["config.access.tokens.AccessToken"],
    # A changed password ends the user's tokens, like the user's sessions.
    "CHECK_REVOKE_TOKEN": True,
}

# --- Wiring ----------------------------------------------------------------------------------------------
# check_health runs every minute and needs no admin pages; the import of the pages takes a quarter of its CPU time.
ADMIN = "django.contrib.admin.apps." + ("SimpleAdminConfig" if sys.argv[1:2] == ["check_health"] else "AdminConfig")
INSTALLED_APPS = [
    ADMIN,
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
    "config.serving",
    *(["config.demo"] if DEMO else []),
    "config.freshness",
    "health",
    "consistency",
    "identities",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.headers.headers",
    "config.nul.refuse_nul",
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
# Threads of Django in each worker process.
REQUEST_THREADS = env.integer("REQUEST_THREADS", 16, least=1, most=100)
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
            ],
            "libraries": {"status": "config.status"},
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
USE_I18N = False
# Also the zone of database sessions: timestamps without zone are UTC, and checks format times with to_char.
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
STATIC_URL = "static/"
# Static files come from the packages, so production needs no collectstatic.
WHITENOISE_USE_FINDERS = True

# --- Stores ----------------------------------------------------------------------------------------------
DATABASES = {"default": env.database_url("DATABASE_URL"), **env.further_databases()}
# Connections of a server process to each database for all requests, beside two for the probes.
DATABASE_CONNECTIONS = env.integer("DATABASE_CONNECTIONS", 8, least=3, most=100)
REDIS_URL = env.redis_url("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        # The platform stores its own keys in the same Redis.
        "KEY_PREFIX": "continuity",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            # redis-py retries ten times by default, which takes ten seconds.
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},
        },
    },
    # Login throttling counts here while Redis is down. The cache is large, because culling forgets failures.
    "memory": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "continuity",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    },
}
QDRANT_URL = env.url("QDRANT_URL", schemes=("http", "https"), example="http://host:6333")
QDRANT_API_KEY = env.header("QDRANT_API_KEY")
QDRANT_COLLECTIONS = env.strings("QDRANT_COLLECTIONS")

# --- The platform ----------------------------------------------------------------------------------------
SCRIPTS_DIR = env.folder("SCRIPTS_DIR")
MODELS_DIR = env.folder("MODELS_DIR")
MIGRATIONS_DIR = env.folder("MIGRATIONS_DIR")
IDENTITIES_DIR = env.folder("IDENTITIES_DIR")
# Megabytes. A larger file is not read.
IDENTITIES_INDEX_LIMIT = env.integer("IDENTITIES_INDEX_LIMIT", 64, least=1, most=10_000)
IDENTITIES_FILE_LIMIT = env.integer("IDENTITIES_FILE_LIMIT", 8, least=1, most=10_000)
SCRIPTS_MANIFEST_LIMIT = env.integer("SCRIPTS_MANIFEST_LIMIT", 16, least=1, most=10_000)
PROCESSORS = ("asr", "yolo", "face", "pose", "ocr", "cut", "scene", "asrx", "visual_chunk")
PIPELINE_PROCESSORS = {name: f"{name}_processor.py" for name in PROCESSORS} | env.pairs("PIPELINE_PROCESSORS")
FFMPEG = env.text("FFMPEG", "ffmpeg")
SFTPGO_URL = env.url("SFTPGO_URL", "", schemes=("http", "https"), example="http://host:8080")
SFTPGO_API_KEY = env.header("SFTPGO_API_KEY")
SFTPGO_USER = env.text("SFTPGO_USER", "")
SFTPGO_PASSWORD = env.text("SFTPGO_PASSWORD", "")
TMDB_API_KEY = env.header("TMDB_API_KEY")
TMDB_ENABLED = env.flag("TMDB_ENABLED", False)
TMDB_URL = env.url(
    "TMDB_URL",
    "https://api.themoviedb.org/3",
    schemes=("http", "https"),
    example="https://api.themoviedb.org/3",
)
BUILD_GIT_HASH = env.text("BUILD_GIT_HASH", "")
BUILD_TIMESTAMP = env.timestamp("BUILD_TIMESTAMP")
# Checks that run by default, in addition to the four of the contract.
CONSISTENCY_CHECKS = env.strings("CONSISTENCY_CHECKS")
# What to do about findings of a check, by the name of the check.
CONSISTENCY_RUNBOOKS = env.urls(
    "CONSISTENCY_RUNBOOKS", schemes=("http", "https"), example="orphaned_processing=https://wiki.example/orphaned"
)
# Seconds between the two passes of a recorded scan. 0: a single pass.
CONSISTENCY_CONFIRM = env.integer("CONSISTENCY_CONFIRM", 0, most=3_600)
# Seconds between the two readings of an external check.
CONSISTENCY_EXTERNAL_PAUSE = env.integer("CONSISTENCY_EXTERNAL_PAUSE", 2, most=60)
# Percent of the objects of an external check that may be missing. More missing objects are a fault of the disk.
CONSISTENCY_MAX_MISSING = env.integer("CONSISTENCY_MAX_MISSING", 30, least=1, most=100)
# Days: the longest acknowledgement, and the retention of scans and of resolved anomalies.
CONSISTENCY_MAX_ACKNOWLEDGE = env.integer("CONSISTENCY_MAX_ACKNOWLEDGE", 90, least=1, most=36_500)
CONSISTENCY_KEEP_SCANS = env.integer("CONSISTENCY_KEEP_SCANS", 90, least=1, most=36_500)
CONSISTENCY_KEEP_RESOLVED = env.integer("CONSISTENCY_KEEP_RESOLVED", 180, least=1, most=36_500)
# Hours until the last complete scan is too old. 0: never.
CONSISTENCY_MAX_AGE = env.integer("CONSISTENCY_MAX_AGE", 26, most=87_600)

# --- Notices ---------------------------------------------------------------------------------------------
CONSISTENCY_WEBHOOK_URL = env.url(
    "CONSISTENCY_WEBHOOK_URL", "", schemes=("http", "https"), example="https://chat.example/hooks/continuity"
)
# Notices are always signed, so a webhook needs a secret.
CONSISTENCY_WEBHOOK_SECRET = env.text(
    "CONSISTENCY_WEBHOOK_SECRET",
    None if CONSISTENCY_WEBHOOK_URL else "",
    expected="a long random text that the receiver has too, because CONSISTENCY_WEBHOOK_URL is set",
)
ADMINS = [("", address) for address in env.strings("ADMINS")]
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
    # JWT first: DRF takes the WWW-Authenticate of a 401 from the first class, and answers 403 without a value.
    # The session last: a client sends a header on purpose, and a browser sends cookies always.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.access.authentication.JWTAuthentication",
        "config.access.authentication.APIKeyAuthentication",
        "config.access.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # The Accept header selects the format. `?format=` is an unknown parameter.
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "config.errors.exception_handler",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Continuity",
    "DESCRIPTION": "Health and consistency for media pipelines.",
    "VERSION": VERSION,
    "TAGS": [{"name": "health"}, {"name": "consistency"}, {"name": "stats"}, {"name": "access"}],
    # OpenAPI 3.1 uses JSON Schema, so tests validate responses against the document.
    "OAS_VERSION": "3.1.0",
    # A text of a request must not be empty; a text of a response may be.
    "COMPONENT_SPLIT_REQUEST": True,
    "DEFAULT_GENERATOR_CLASS": "config.openapi.Generator",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.openapi.add_failures",
        "config.openapi.add_summaries",
    ],
    # Components of different apps have a field "status"; without names here the document has StatusB1fEnum.
    "ENUM_NAME_OVERRIDES": {"OverallStatus": ["ok", "degraded"], "ServiceStatus": ["ok", "degraded", "error"]},
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
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
    "filters": {"repeats": {"()": "common.logs.RepeatFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["repeats"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # Without handlers of its own, Django would mail ADMINS and print lines twice.
    "loggers": {
        "django": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        # Wrong host names and missing credentials belong in the access log.
        "django.request": {"level": "CRITICAL" if LOG_LEVEL == "CRITICAL" else "ERROR"},
        # httpx logs the URL of every request, and TMDB's URL contains the key.
        "httpx": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
