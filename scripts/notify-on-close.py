#!/usr/bin/env python3
"""Sends a short mail when a ticket closes.

SecureChange trigger, event CLOSE (and TEST, for the Test button).
stdin      the ticket XML
settings   notify-on-close.yaml; without SMTP_HOST the notice is printed instead of sent
exit code  0 sent or printed; 1 not sent, and SecureChange may try again
"""

import os
import smtplib
import ssl
import sys
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timezone
from email.message import EmailMessage


def main():
    try:
        ticket = parse_ticket(sys.stdin.buffer.read())
        if ticket.find("id") is None:
            if len(ticket):
                raise ValueError("the ticket XML has no <id>")
            print("test: notify-on-close was reached, nothing was sent")  # the Test button sends <ticket_info/>
            return 0
        notice = compose(ticket)
        if os.environ.get("SMTP_HOST"):
            send(notice)
            print("sent to " + notice["To"])
        else:
            show(notice)
        return 0
    except (ValueError, OSError, smtplib.SMTPException) as error:  # ValueError: also what a port that is no number gives
        print("notify-on-close: {}".format(error), file=sys.stderr)
        return 1


def parse_ticket(data):
    """The root element of a ticket XML. SecureChange may use the prefix xsi without declaring it, which Python refuses."""
    if b"xmlns:xsi" not in data:
        data = data.replace(b"<ticket_info", b'<ticket_info xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', 1)
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError("stdin is not a ticket XML: {}".format(error))
    if root.tag != "ticket_info":
        raise ValueError("stdin is not a ticket XML: it begins with <{}>".format(root.tag))
    return root


def compose(ticket):
    """The mail. Do not rely on the order of elements, and expect any of them to be absent."""
    number = text(ticket, "id")
    stage = text(ticket, "completion_data/stage/name") or text(ticket, "current_stage/name")
    lines = [
        "Ticket {} was closed.".format(number),
        "",
        "Subject:    " + text(ticket, "subject"),
        "Requester:  " + (text(ticket, "requester/display_name") or text(ticket, "requester/login")),
        "Priority:   " + text(ticket, "priority/name"),
        "Last step:  " + stage,
        "Opened:     " + moment(text(ticket, "createDate")),
        "Closed:     " + moment(text(ticket, "updateDate")),
    ]
    notice = EmailMessage()
    notice["From"] = os.environ.get("MAIL_FROM") or "securechange@localhost"
    notice["To"] = os.environ.get("MAIL_TO") or "root@localhost"
    notice["Subject"] = "[SecureChange] {} closed: {}".format(number, text(ticket, "subject"))
    notice.set_content("\n".join(lines) + "\n")
    return notice


def text(element, path):
    """The text at a path on one line: a requester chooses the subject, and a line break there must not become a mail header."""
    return " ".join((element.findtext(path) or "").split())


def moment(milliseconds):
    """1704707276656 -> 2024-01-08 09:47 UTC; anything else stays as it is."""
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return milliseconds


def send(notice):
    host, port = os.environ["SMTP_HOST"], int(os.environ.get("SMTP_PORT") or 25)
    try:
        with smtplib.SMTP(host, port, timeout=20) as server:
            if os.environ.get("SMTP_STARTTLS") == "yes":
                server.starttls(context=ssl.create_default_context())
            server.send_message(notice)
    except (OSError, smtplib.SMTPException) as error:
        raise OSError("mail server {}:{}: {}".format(host, port, error))


def show(notice):
    """As UTF-8 whatever the locale says: a subject with umlauts must not end the script where LANG is C."""
    head = "".join("{}: {}\n".format(name, notice[name]) for name in ("From", "To", "Subject"))
    sys.stdout.buffer.write((head + "\n" + notice.get_content()).encode("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
