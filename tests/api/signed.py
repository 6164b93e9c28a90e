"""Signs webhooks as Svix does: without a valid signature only the refusal would be tested."""

import base64
import hashlib
import hmac
import os
import time

import requests
import schemathesis

SECRET = base64.b64decode(os.environ["CLERK_WEBHOOK_SECRET"].removeprefix("whsec_"))


class Signed(requests.auth.AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        headers = request.headers
        # A missing or malformed header is a test case and stays; a number is replaced by the present time.
        complete = headers.get("svix-id") and headers.get("svix-signature")
        if complete and headers.get("svix-timestamp", "").lstrip("-").isdigit():
            headers["svix-timestamp"] = str(int(time.time()))
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else body
            signed = f"{headers['svix-id']}.{headers['svix-timestamp']}.".encode() + body
            digest = hmac.new(SECRET, signed, hashlib.sha256).digest()
            headers["svix-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return request


schemathesis.auth.set_from_requests(Signed()).apply_to(path="/webhooks/clerk")
