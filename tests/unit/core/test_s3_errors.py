"""All that botocore can raise, and what it becomes."""

import inspect
from typing import Any

import pytest
from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from refit.core.errors import RefitError
from refit.core.s3_errors import is_missing, is_refused, is_transient, mapped

SECRET = "hunter22"

# HTTP status, the server's code, exit code, class, repeated within the call
ANSWERS: list[tuple[int, str, int, str, bool]] = [
    (500, "InternalError", 75, "StoreAway", True),
    (500, "", 75, "StoreAway", True),
    (502, "502", 75, "StoreAway", True),
    (503, "SlowDown", 75, "StoreAway", True),
    (503, "ServiceUnavailable", 75, "StoreAway", True),
    (503, "XMinioServerNotInitialized", 75, "StoreAway", True),
    (504, "", 75, "StoreAway", True),
    (429, "TooManyRequests", 75, "StoreAway", True),
    (400, "ThrottlingException", 75, "StoreAway", True),
    (400, "RequestTimeout", 75, "StoreAway", True),
    (408, "", 75, "StoreAway", True),
    (400, "IncompleteBody", 75, "StoreAway", True),
    (400, "BadDigest", 75, "StoreAway", True),
    (409, "ConditionalRequestConflict", 75, "StoreAway", True),
    (409, "OperationAborted", 75, "StoreAway", True),
    (507, "InsufficientCapacity", 75, "StoreFull", False),
    (507, "", 75, "StoreFull", False),
    (507, "XMinioStorageFull", 75, "StoreFull", False),
    (403, "QuotaExceeded", 75, "StoreFull", False),
    (400, "XMinioAdminBucketQuotaExceeded", 75, "StoreFull", False),
    (503, "ServiceQuotaExceeded", 75, "StoreFull", False),
    (403, "AccessDenied", 77, "StoreDenied", False),
    (403, "", 77, "StoreDenied", False),
    (403, "403", 77, "StoreDenied", False),
    (401, "Unauthorized", 77, "StoreDenied", False),
    (403, "AllAccessDisabled", 77, "StoreDenied", False),
    (405, "MethodNotAllowed", 77, "StoreDenied", False),
    (403, "InvalidAccessKeyId", 77, "StoreDenied", False),
    (403, "SignatureDoesNotMatch", 77, "StoreDenied", False),
    (400, "ExpiredToken", 77, "StoreDenied", False),
    (400, "InvalidToken", 77, "StoreDenied", False),
    (403, "RequestTimeTooSkewed", 77, "StoreDenied", False),
    (400, "KMS.DisabledException", 77, "StoreDenied", False),
    (404, "NoSuchBucket", 77, "BucketMissing", False),
    (403, "InvalidObjectState", 66, "ArtifactError", False),
    (301, "PermanentRedirect", 64, "StoreRefused", False),
    (400, "AuthorizationHeaderMalformed", 64, "StoreRefused", False),
    (400, "IllegalLocationConstraintException", 64, "StoreRefused", False),
    (501, "NotImplemented", 64, "StoreRefused", False),
    (400, "InvalidArgument", 64, "StoreRefused", False),
    (400, "InvalidBucketName", 64, "StoreRefused", False),
    (404, "NoSuchUpload", 64, "StoreRefused", False),
    (418, "Teapot", 64, "StoreRefused", False),
]

CONNECTION = 75, "StoreAway", True
CREDENTIALS = 77, "StoreDenied", False
SETTINGS = 64, "StoreRefused", False

RAISED: list[tuple[Exception, tuple[int, str, bool]]] = [
    (aws.EndpointConnectionError(endpoint_url=f"http://me:{SECRET}@minio:9000", error=""), CONNECTION),
    (aws.ConnectTimeoutError(endpoint_url=f"http://me:{SECRET}@minio:9000", error=""), CONNECTION),
    (aws.ReadTimeoutError(endpoint_url=f"http://me:{SECRET}@minio:9000", error=""), CONNECTION),
    (aws.ConnectionClosedError(endpoint_url=f"http://me:{SECRET}@minio:9000", error=""), CONNECTION),
    (aws.ProxyConnectionError(proxy_url=f"http://me:{SECRET}@proxy", error=""), CONNECTION),
    (aws.SSLError(endpoint_url="https://minio", error=OSError("EOF occurred in violation of protocol")), CONNECTION),
    (aws.HTTPClientError(error="anything"), CONNECTION),
    (aws.ResponseStreamingError(error="cut"), CONNECTION),
    (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), CONNECTION),
    (aws.FlexibleChecksumError(error_msg="differs"), CONNECTION),
    (ResponseParserError("not XML"), CONNECTION),
    (aws.SSLError(endpoint_url="https://minio", error=OSError("CERTIFICATE_VERIFY_FAILED")), SETTINGS),
    (aws.NoCredentialsError(), CREDENTIALS),
    (aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), CREDENTIALS),
    (aws.CredentialRetrievalError(provider="process", error_msg=SECRET), CREDENTIALS),
    (aws.TokenRetrievalError(provider="sso", error_msg=SECRET), CREDENTIALS),
    (aws.UnauthorizedSSOTokenError(), CREDENTIALS),
    (aws.SSOTokenLoadError(error_msg=SECRET), CREDENTIALS),
    (aws.MetadataRetrievalError(error_msg=SECRET), CREDENTIALS),
    (aws.ProfileNotFound(profile="team"), SETTINGS),
    (aws.NoRegionError(), SETTINGS),
    (aws.InvalidRegionError(region_name="x y"), SETTINGS),
    (aws.ConfigParseError(path="~/.aws/config"), SETTINGS),
    (aws.ParamValidationError(report="Invalid bucket name"), SETTINGS),
    (ValueError(f"Invalid endpoint: me:{SECRET}@"), SETTINGS),
]


def client_error(status: int, code: str, message: str = "words of the server") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")


@pytest.mark.parametrize(("status", "code", "exit_code", "kind", "repeated"), ANSWERS)
def test_an_answer_of_the_server_becomes(status: int, code: str, exit_code: int, kind: str, repeated: bool) -> None:
    error = client_error(status, code)
    found = mapped(error, "write a", "s3://models/x", "minio:9000")
    assert (found.exit_code, type(found).__name__) == (exit_code, kind)
    assert is_transient(error) is repeated
    assert "cannot write a in s3://models/x at minio:9000: " in found.message
    assert found.next or repeated


@pytest.mark.parametrize(("error", "expected"), RAISED, ids=lambda value: type(value).__name__)
def test_an_error_of_the_client_becomes(error: Exception, expected: tuple[int, str, bool]) -> None:
    found = mapped(error, "write a", "s3://models/x", "minio:9000")
    assert (found.exit_code, type(found).__name__, is_transient(error)) == expected
    assert "cannot write a in s3://models/x at minio:9000: " in found.message
    assert SECRET not in found.message + found.next


def test_no_error_of_botocore_is_left_unmapped() -> None:
    kinds = [kind for _, kind in inspect.getmembers(aws, inspect.isclass) if issubclass(kind, BotoCoreError)]
    assert len(kinds) > 50
    for kind in kinds:
        error = kind.__new__(kind)
        assert isinstance(mapped(error, "write a", "s3://models", "minio"), RefitError)


def test_refused_credentials_are_not_explained_in_the_servers_words() -> None:
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
        found = mapped(client_error(403, code, f"the token {SECRET} is old"), "read a", "s3://models", "minio")
        assert SECRET not in found.message
        assert code in found.message


def test_a_servers_long_words_are_cut() -> None:
    found = mapped(client_error(400, "InvalidArgument", "x" * 10_000), "read a", "s3://models", "minio")
    assert len(found.message) < 500


@pytest.mark.parametrize(
    ("status", "code", "missing", "refused"),
    [
        (404, "NoSuchKey", True, True),
        (404, "404", True, True),
        (404, "NoSuchBucket", False, False),
        (412, "PreconditionFailed", False, True),
        (412, "412", False, True),
        (409, "ConditionalRequestConflict", False, False),
        (403, "AccessDenied", False, False),
        (500, "InternalError", False, False),
    ],
)
def test_missing_and_refused_are_told_apart(status: int, code: str, missing: bool, refused: bool) -> None:
    error = client_error(status, code)
    assert (is_missing(error), is_refused(error)) == (missing, refused)
