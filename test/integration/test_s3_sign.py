"""The signer signs as botocore does, on requests that are as awkward as S3 allows; see test/tools/s3_sign.c."""
import datetime
import random
import re

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import binary

botocore_auth = pytest.importorskip("botocore.auth", reason="python3-botocore is not installed; run test/install test")
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.utils import percent_encode  # noqa: E402

N_REQUESTS = 600
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ASCII = "".join(map(chr, range(0x20, 0x7F)))
PIECES = [
    *("a", "Z", "0", "-", ".", "_", "~", "/", "//", "/./", "/../", ".", "..", " ", "  ", "+", "%", "%2F", "%20", "%zz"),
    *("&", "=", "?", "#", ";", ",", ":", "@", "$", "!", "*", "'", "(", ")", "[", "]", "{", "}", "|", "\\", "^", "`"),
    *("<", ">", '"', "ä", "ß", "漢字", "🐘", "é", "\u0301", "\u00a0", "\u202e", "\t"),
]
NAMES = ["uploads", "uploadId", "partNumber", "list-type", "prefix", "delimiter", "start-after", "max-keys"]
NAMES += ["continuation-token", "delete", "a", "a-b", "a.b", "ab", "A", "a~", "a b", "ä", "x%y", "X-Amz-Thing"]
HEADERS = ["range", "if-none-match", "if-match", "content-md5", "content-type", "x-amz-storage-class", "x-amz-meta-a"]
HEADERS += ["x-amz-meta-a-b", "X-Amz-Security-Token", "x-amz-server-side-encryption", "x-amz-meta-a.b", "Cache-Control"]
REGIONS = ["us-east-1", "eu-central-1", "auto", "garage", "fr-par", "x", "ap-southeast-99"]


def text(chance, most, pieces=PIECES):
    return "".join(chance.choice(pieces) for _ in range(chance.randrange(most)))


def awkward_request(chance):
    moment = datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=chance.randrange(40 * 365 * 86400))
    payload = EMPTY if chance.random() < 0.3 else f"{chance.getrandbits(256):064x}"
    headers = {
        "host": chance.choice(["s3.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "[::1]:80"]),
        "x-amz-date": moment.strftime("%Y%m%dT%H%M%SZ"),
        "x-amz-content-sha256": payload,
    }
    for name in chance.sample(HEADERS, chance.randrange(len(HEADERS))):
        # What HTTP allows in a value, and blanks where they are folded.
        headers[name] = text(chance, 8, [*"abcXYZ019-_./=+*:;,\"'", " ", "  ", "   "]) or "x"
    return {
        "method": chance.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "path": "/" + text(chance, 12),
        "query": [(chance.choice(NAMES), text(chance, 6)) for _ in range(chance.randrange(6))],
        "headers": headers,
        "payload": payload,
        "region": chance.choice(REGIONS),
        "access_key": "AKIA" + text(chance, 8, list("ABCDEFGHIJ0123456789")),
        "secret": text(chance, 30, list(ASCII.replace(" ", ""))) or "s",
    }


def hexed(value):
    return value.encode().hex() or "-"


def as_input(request):
    lines = [f"{name} {hexed(request[name])}" for name in ("method", "path", "region", "access_key", "secret", "payload")]
    lines.append(f"date {hexed(request['headers']['x-amz-date'])}")
    lines += [f"query {hexed(name)} {hexed(value)}" for name, value in request["query"]]
    lines += [f"header {hexed(name)} {hexed(value)}" for name, value in request["headers"].items()]
    return "\n".join([*lines, "end", ""])


def sign_with_walship(requests):
    """(path and query as sent, canonical request, authorization) of each."""
    tool = binary().parent / "test/s3_sign"
    lines = run_ok([tool], stdin="".join(map(as_input, requests))).out.splitlines()
    texts = [bytes.fromhex(line).decode() for line in lines]
    return list(zip(texts[0::3], texts[1::3], texts[2::3], strict=True))


def sign_with_botocore(request):
    """(path and query, canonical request, authorization)."""
    path = percent_encode(request["path"], safe="/~")
    auth = botocore_auth.S3SigV4Auth(
        Credentials(request["access_key"], request["secret"]), "s3", request["region"]
    )
    aws = AWSRequest(method=request["method"], url=f"https://{request['headers']['host']}{path}")
    aws.params = request["query"]
    aws.context = {"timestamp": request["headers"]["x-amz-date"]}
    for name, value in request["headers"].items():
        aws.headers[name] = value
    auth.payload = lambda _: request["payload"]
    canonical = auth.canonical_request(aws)
    signature = auth.signature(auth.string_to_sign(aws, canonical), aws)
    signed = auth.signed_headers(auth.headers_to_sign(aws))
    query = canonical.split("\n")[2]
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(aws)}, SignedHeaders={signed}, Signature={signature}"
    )
    return f"{path}?{query}", canonical, authorization


def without_blanks(authorization):
    """Blanks after the commas are a matter of taste."""
    return re.sub(r",\s+", ",", authorization)


@pytest.fixture(scope="module")
def requests():
    chance = random.Random(20261121)
    return [awkward_request(chance) for _ in range(N_REQUESTS)]


def test_the_signer_agrees_with_botocore_on_hundreds_of_awkward_requests(requests):
    signed = sign_with_walship(requests)
    assert len(signed) == N_REQUESTS
    for request, (url, canonical, authorization) in zip(requests, signed):
        expected_url, expected_canonical, expected_authorization = sign_with_botocore(request)
        assert canonical == expected_canonical, request
        assert url == expected_url, request
        assert without_blanks(authorization) == without_blanks(expected_authorization), request


def test_the_comparison_sees_a_difference(requests):
    (url, canonical, authorization), = sign_with_walship(requests[:1])
    other = {**requests[0], "secret": requests[0]["secret"] + "x"}
    assert sign_with_botocore(other)[1] == canonical
    assert without_blanks(sign_with_botocore(other)[2]) != without_blanks(authorization)
