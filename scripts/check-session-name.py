#!/usr/bin/env python3
"""Refuses to publish a session whose name is not a change number, for instance CR-1042.

Check Point SmartTask, trigger Before Publish.
argv[1]    Base64 of the payload (JSON); MEDIATOR_PAYLOAD_FILE names a file with the same, decoded, of any size
settings   custom data of the SmartTask: {"session-name-format": "CR"}
stdout     the verdict: {"result": "success"}, or {"result": "failure", "message": "..."}, which aborts the publish
exit code  0 with a verdict; 1 with none (then the SmartTask's fail-open decides)
"""

import base64
import json
import os
import re
import sys


def main():
    try:
        print(json.dumps(verdict(read_payload())))
        return 0
    except (ValueError, OSError) as error:
        print("check-session-name: {}".format(error), file=sys.stderr)
        return 1


def read_payload():
    """The payload as a dictionary."""
    path = os.environ.get("MEDIATOR_PAYLOAD_FILE")
    if path:
        with open(path, "rb") as file:
            data = file.read()
    elif len(sys.argv) > 1:
        try:
            data = base64.b64decode("".join(sys.argv[1].split()), validate=True)
        except ValueError:
            raise ValueError("the argument is not Base64")
    else:
        raise ValueError("no payload: the first argument is missing")
    try:
        payload = json.loads(data.decode("utf-8"))
    except ValueError as error:  # also what text that is not UTF-8 gives
        raise ValueError("the payload is not JSON: {}".format(error))
    if not isinstance(payload, dict) or not isinstance(payload.get("session"), dict):
        raise ValueError("the payload has no session")
    return payload


def verdict(payload):
    custom = payload.get("custom-data")
    prefix = custom.get("session-name-format") if isinstance(custom, dict) else None
    if not isinstance(prefix, str) or not prefix:
        raise ValueError('the custom data of the SmartTask has no "session-name-format", for instance {"session-name-format": "CR"}')
    name = str(payload["session"].get("session-name") or "")
    if re.fullmatch(re.escape(prefix) + "-[0-9]+", name):
        return {"result": "success"}
    found = 'is named "{}"'.format(name) if name else "has no name"
    message = "This session {0}. Name it {1}-NUMBER, for instance {1}-1042, and publish again.".format(found, prefix)
    return {"result": "failure", "message": message}


if __name__ == "__main__":
    sys.exit(main())
