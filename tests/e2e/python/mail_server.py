"""A mail server for the end-to-end tests: aiosmtpd, with the rules below, into a Maildir.

What it takes is in MAILDIR/new, a file for each mail. Recipients whose names begin with `nobody` are refused
for good, unless --everybody is given; those that begin with `later` once for now (greylisting).
"""

import argparse
import asyncio
import logging
import ssl

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult


class Rules(Mailbox):
    """Who gets mail."""

    def __init__(self, maildir, everybody):
        super().__init__(maildir)
        self.everybody = everybody
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody") and not self.everybody:
            return f"550 5.1.1 <{address}>: no such user here"
        if address.startswith("later") and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", required=True)
    parser.add_argument("--tls", choices=["starttls", "implicit", "none"], required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--everybody", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    context = None
    if options.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)

    def authenticator(server, session, envelope, mechanism, login):
        wanted = (options.user.encode(), options.password.encode())
        # Not handled: the server says 535.
        return AuthResult(success=(login.login, login.password) == wanted, handled=False)

    rules = Rules(options.maildir, options.everybody)
    loop = asyncio.get_running_loop()

    def session():
        return SMTP(
            rules,
            hostname="mail.test",
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            auth_required=True,
            # Over implicit TLS it sees no encryption of its own.
            auth_require_tls=options.tls == "starttls",
            authenticator=authenticator,
            loop=loop,
        )

    implicit = context if options.tls == "implicit" else None
    server = await loop.create_server(session, "127.0.0.1", options.port, ssl=implicit)
    async with server:
        await server.serve_forever()


asyncio.run(main())
