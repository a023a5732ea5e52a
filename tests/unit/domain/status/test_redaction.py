"""Credentials are blanked, and all else stays as it is."""

import pytest

from dlagent.domain.status.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Authorization: Bearer eyJhbGciOi.J9.sig-x",
            "Authorization: Bearer ***",
            id="a bearer token is blanked",
        ),
        pytest.param(
            "GET https://me:pass@host/x", "GET https://***@host/x", id="a password in an address"
        ),
        pytest.param(
            "https://s3/x?X-Amz-Signature=abc&v=1",
            "https://s3/x?X-Amz-Signature=***&v=1",
            id="a signed address keeps what is no secret",
        ),
        pytest.param("the token is 5 bytes", "the token is 5 bytes", id="plain words stay"),
        pytest.param("pvc://models/a.onnx", "pvc://models/a.onnx", id="a source stays"),
    ],
)
def test_credentials_are_blanked(text: str, expected: str) -> None:
    assert redact(text) == expected
