"""The administrators' console: the page and its files, as a browser without credentials gets them."""

import gzip
import re

import story
from account import ROOT, Account, expect
from story import NOT_ALLOWED, NOT_FOUND, SUCCESS, equal, refused

FILES = ROOT / "functions/console/assets"
# How the page names its files, relative to its own address.
NAMED = re.compile(r'"\./(admin/console/[^"]+)"')
NOT_MODIFIED = 304
GZIP = {"Accept-Encoding": "gzip"}


def served(account: Account) -> None:
    """The page is served with its policy, its files are, each as it was built, plain and compressed; others are not."""
    status, headers, page = account.exchange("GET", "/admin")
    equal("the console's page", (status, page), (SUCCESS, (FILES / "index.html").read_bytes()))
    equal("its type", headers["content-type"], "text/html; charset=utf-8")
    expect("default-src 'none'" in headers["content-security-policy"], f"the page's policy: {headers}")
    named = NAMED.findall(page.decode())
    expect(named, f"the page names no files: {page!r}")
    for path in named:
        _file(account, f"/{path}")
    head = account.exchange("HEAD", "/admin")
    equal("the page's HEAD", (head[0], head[1]["etag"], head[2]), (SUCCESS, headers["etag"], b""))
    known = account.exchange("GET", "/admin", {"If-None-Match": headers["etag"]})
    equal("the page that is known", (known[0], known[2]), (NOT_MODIFIED, b""))
    refused(account, "GET", "/admin/console/nothing.js", NOT_FOUND)
    refused(account, "POST", "/admin", NOT_ALLOWED)
    expect(not any("console" in path for path in story.DOCUMENT["paths"]), "the console is in the OpenAPI document")


def _file(account: Account, path: str) -> None:
    built = (FILES / path.rpartition("/")[2]).read_bytes()
    status, headers, plain = account.exchange("GET", path)
    equal(f"GET {path}", (status, plain == built, "content-encoding" in headers), (SUCCESS, True, False))
    expect("immutable" in headers["cache-control"], f"{path} is not cached for ever: {headers}")
    status, headers, packed = account.exchange("GET", path, GZIP)
    equal(f"GET {path}, compressed", (status, headers.get("content-encoding")), (SUCCESS, "gzip"))
    equal(f"{path}, unpacked", gzip.decompress(packed) == built, True)
    equal(f"HEAD {path}", account.exchange("HEAD", path)[::2], (SUCCESS, b""))
