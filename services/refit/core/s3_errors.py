"""Where botocore's errors become refit's own; the only place that knows the words of S3 servers.

    AccessError      77   BucketMissing, StoreDenied: also credentials, read-only servers
    DependencyError  75   StoreAway: down, slow, throttling, cut answers; StoreFull: quota
    ConfigError      64   StoreRefused: wrong region, settings, requests that the server does not know
    ArtifactError    66   an object that was moved to an archive tier

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, MinIO's cmd/api-errors.go.
Messages name server, bucket, key, the server's code and its words, but neither credentials nor the user part of
an address.
"""

from typing import Final

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from refit.core.errors import AccessError, ArtifactError, ConfigError, DependencyError, RefitError


class BucketMissing(AccessError):
    """The bucket does not exist, or not for these credentials."""


class StoreDenied(AccessError):
    """The server refuses these credentials, or this kind of access."""


class StoreAway(DependencyError):
    """The server is away, too slow, too busy, or its answers are cut."""


class StoreFull(DependencyError):
    """The bucket's quota or the server's disk is used up."""


class StoreRefused(ConfigError):
    """The server does not do what was asked, and would not the next time."""


_TRANSIENT_CODES: Final = {
    *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "RequestTimeout"),
    *("InternalError", "ServiceUnavailable", "Busy", "SlowDownRead", "SlowDownWrite", "XMinioServerNotInitialized"),
    *("ConditionalRequestConflict", "OperationAborted"),  # two conditional writes at once: not yet decided
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),  # cut on the way
}
_FULL_CODES: Final = {
    *("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"),
    *("ServiceQuotaExceeded", "ServiceQuotaExceededException", "StorageFull"),
}
_CREDENTIAL_CODES: Final = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken"),
    *("TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException", "RequestExpired"),
}
_DENIED_CODES: Final = {
    *("AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidSecurity", "InvalidPayer", "NotSignedUp"),
    *("MethodNotAllowed", "XMinioStorageReadOnly", "ObjectLocked"),
}
_REGION_CODES: Final = {
    *("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    *("InvalidRegion", "WrongRegion"),
}
_CONNECTION: Final = (
    *(aws.HTTPClientError, aws.ConnectionError, aws.ResponseStreamingError, aws.IncompleteReadError),
    *(aws.ChecksumError, aws.FlexibleChecksumError, ResponseParserError),
)
_CREDENTIALS: Final = (
    *(aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError, aws.NoAuthTokenError),
    *(aws.TokenRetrievalError, aws.SSOError, aws.RefreshWithMFAUnsupportedError, aws.MetadataRetrievalError),
    aws.LoginError,
)

BOTOCORE: Final = (BotoCoreError, ClientError, ResponseParserError)
"""All that a request can raise."""

_CHECK_SERVER: Final = "it was tried again; if it stays so, look at the server and at AWS_ENDPOINT_URL_S3"
_CHECK_CREDENTIALS: Final = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or AWS_PROFILE"


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: ClientError) -> bool:
    """No object stands at the key; a missing bucket is another matter."""
    return status_of(error) == 404 and code_of(error) not in ("NoSuchBucket", "NoSuchUpload")


def is_refused(error: ClientError) -> bool:
    """The condition of a write did not hold; If-Match on an object that is gone is answered with 404."""
    return status_of(error) == 412 or code_of(error) == "PreconditionFailed" or is_missing(error)


def is_transient(error: Exception) -> bool:
    """The same request may succeed a moment later."""
    if isinstance(error, ClientError):
        code, status = code_of(error), status_of(error)
        if code in _TRANSIENT_CODES:
            return True
        return (status >= 500 and status not in (501, 507) and code not in _FULL_CODES) or status in (408, 429)
    return isinstance(error, _CONNECTION) and not _is_untrusted(error)


def mapped(error: Exception, doing: str, url: str, endpoint: str) -> RefitError:
    """The RefitError that an error of botocore stands for.

    Args:
        error: One of BOTOCORE, or the ValueError of an endpoint that is no address.
        doing: What failed, as in `read refs/champion.json`.
        url: The store.
        endpoint: Its server, as host and port.
    """
    what = f"cannot {doing} in {url} at {endpoint}"
    if isinstance(error, ClientError):
        return _answered(error, what)
    if isinstance(error, _CREDENTIALS):
        return StoreDenied(f"{what}: no usable credentials ({type(error).__name__})", next=_CHECK_CREDENTIALS)
    if _is_untrusted(error):
        return StoreRefused(
            f"{what}: the server's certificate is not trusted", next="set AWS_CA_BUNDLE to the file of its authority"
        )
    if isinstance(error, _CONNECTION):
        return StoreAway(
            f"{what}: {_CONNECTION_WORDS.get(type(error).__name__, 'the connection failed')}", next=_CHECK_SERVER
        )
    return StoreRefused(f"{what}: {type(error).__name__}", next="check the AWS_* variables and the AWS config file")


_CONNECTION_WORDS: Final = {
    "EndpointConnectionError": "nothing answers there",
    "ConnectTimeoutError": "nothing answers there in time",
    "ProxyConnectionError": "the proxy does not answer",
    "ReadTimeoutError": "the answer takes too long",
    "ConnectionClosedError": "the connection was closed before the answer",
    "IncompleteReadError": "the answer was cut",
    "ResponseStreamingError": "the answer was cut",
    "ResponseParserError": "the answer is not S3's",
    "SSLError": "the encrypted connection failed",
}


def _answered(error: ClientError, what: str) -> RefitError:
    """The server's own answer: its code decides, else its status."""
    code, status = code_of(error), status_of(error)
    said = _said(error)
    if code == "NoSuchBucket":
        return BucketMissing(f"{what}: the bucket does not exist", next="create the bucket, or correct REFIT_STORE")
    if code in _CREDENTIAL_CODES:
        return StoreDenied(f"{what}: the credentials are refused ({code})", next=_CHECK_CREDENTIALS)
    if code == "RequestTimeTooSkewed":
        return StoreDenied(f"{what}: {said}", next="set this machine's clock")
    if code == "InvalidObjectState":
        return ArtifactError(f"{what}: {said}", next="restore the object from its archive tier")
    if code in _REGION_CODES or status in (301, 307):
        return StoreRefused(
            f"{what}: the bucket lies elsewhere, {said}", next="set AWS_DEFAULT_REGION to the bucket's region"
        )
    if code in _FULL_CODES or status == 507:
        return StoreFull(f"{what}: no room left, {said}", next="raise the quota, or delete what is not needed")
    if is_transient(error):
        return StoreAway(f"{what}: {said}", next=_CHECK_SERVER)
    if code in _DENIED_CODES or code.startswith("KMS.") or status in (401, 403, 405):
        return StoreDenied(
            f"{what}: {said}",
            next="grant s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket below the store's prefix",
        )
    if status == 501 or code == "NotImplemented":
        return StoreRefused(f"{what}: the server does not know such a request, {said}", next="use another S3 server")
    return StoreRefused(f"{what}: the server refused the request, {said}", next="check REFIT_STORE and AWS_*")


def _said(error: ClientError) -> str:
    words = str(error.response.get("Error", {}).get("Message") or "").strip()[:300]
    return f"{code_of(error)} (HTTP {status_of(error)}){': ' * bool(words)}{words}"


def _is_untrusted(error: Exception) -> bool:
    return isinstance(error, aws.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
