"""What looks like a credential is blanked: in all logs, and in what a status says.

Messages quote what pods and servers say, and a status has more readers than a Secret.
"""

import re

_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~-]{8,}=*"), r"\1 ***"),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@"), r"\1***@"),
    (
        re.compile(
            r"(?i)([?&](?:x-amz-[a-z-]*(?:signature|credential|token)|sig|signature|token|"
            r"password|secret|access_key)=)[^&\s\"']+"
        ),
        r"\1***",
    ),
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"),
        "***",
    ),
)


def redact(text: str) -> str:
    """The text without tokens, passwords in addresses, signed query parameters and private keys."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
