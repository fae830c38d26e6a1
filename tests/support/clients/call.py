"""One POST through the proxy of the environment: call.py urllib|requests|httpx|httpx_h2 URL BODY [HEADER...]

Prints the answer as it comes. urllib is the standard library's; the others are used by the tests
when they are installed.
"""

import sys
import urllib.request

HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-test-secret"}


def with_urllib(url, body, headers):
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        for line in response:
            yield line


def with_requests(url, body, headers):
    import requests
    with requests.post(url, data=body, headers=headers, stream=True, timeout=60) as response:
        response.raise_for_status()
        yield from response.iter_content(None)


def with_httpx_h2(url, body, headers):
    return with_httpx(url, body, headers, http2=True)


def with_httpx(url, body, headers, http2=False):
    import os

    import httpx
    # httpx takes SSL_CERT_FILE only when asked to trust its environment, which is its default.
    trust = os.environ.get("SSL_CERT_FILE", True)
    with httpx.Client(timeout=60, verify=trust, http2=http2) as client:
        with client.stream("POST", url, content=body, headers=headers) as response:
            response.raise_for_status()
            assert not http2 or response.http_version == "HTTP/2", response.http_version
            yield from response.iter_bytes()


def main():
    library, url, body, *more = sys.argv[1:]
    headers = HEADERS | dict(header.split(": ", 1) for header in more)
    for piece in globals()[f"with_{library}"](url, body.encode(), headers):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
