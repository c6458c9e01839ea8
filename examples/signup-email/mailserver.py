"""An SMTP server (aiosmtpd) that prints what it is given: recipient and Message-ID, a line each.

    python mailserver.py 1025
"""

import asyncio
import email
import sys

from aiosmtpd.smtp import SMTP


class Printer:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        print("mail", ",".join(envelope.rcpt_tos), message["Message-ID"], flush=True)
        return "250 OK"


async def serve(port):
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Printer(), hostname="localhost"), "127.0.0.1", port)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(serve(int(sys.argv[1])))
