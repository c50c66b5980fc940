"""A server on this machine that speaks S3's protocol."""

from __future__ import annotations

import secrets

import pytest

S3 = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKE",
    "AWS_SECRET_ACCESS_KEY": "fakesecretfakesecret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


@pytest.fixture(scope="session")
def s3_environment():
    """Environment variables that lead s3fs to a server with the bucket ``bucket``."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'competency-gaps[s3]'")
    server.start()
    host, port = server.get_host_and_port()
    given = {**S3, "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        yield given
    server.stop()


@pytest.fixture
def s3_address(s3_environment):
    """A place in the bucket that no other test uses."""
    import boto3

    boto3.client("s3", endpoint_url=s3_environment["AWS_ENDPOINT_URL_S3"]).create_bucket(Bucket="bucket")
    return f"s3://bucket/{secrets.token_hex(6)}/run"


@pytest.fixture(params=["file", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def address(request, tmp_path):
    """An empty store of each kind."""
    if request.param == "file":
        return f"file://{tmp_path}/store/run"
    if request.param == "memory":
        return f"memory://{secrets.token_hex(6)}/run"
    return request.getfixturevalue("s3_address")
