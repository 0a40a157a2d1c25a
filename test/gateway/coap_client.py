"""A CoAP client of others (aiocoap) over TLS with a client certificate: sends what stdin says, one JSON object a line, and prints each answer as one."""

import asyncio
import json
import ssl
import sys

import aiocoap
from aiocoap.transports import tls


async def main(host, port, ca, cert, key):
    def context(self, hostinfo):
        c = ssl.create_default_context(cafile=ca)
        # The test's server certificate names no host in a form that Python reads; whose it is, the CA says.
        c.check_hostname = False
        c.load_cert_chain(cert, key)
        c.set_alpn_protocols(["coap"])
        return c

    tls.TLSClient._ssl_context_factory = context
    client = await aiocoap.Context.create_client_context(transports=["tlsclient"])
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            message = aiocoap.Message(
                code=getattr(aiocoap, wanted["code"]),
                uri=f"coaps+tcp://{host}:{port}{wanted['path']}",
                payload=bytes.fromhex(wanted["payload"]),
                content_format=wanted.get("format"),
            )
            try:
                answer = await asyncio.wait_for(client.request(message).response, 20)
                print(json.dumps({"code": str(answer.code), "says": answer.payload.decode()}), flush=True)
            except Exception as error:
                print(json.dumps({"failed": type(error).__name__}), flush=True)
    finally:
        await client.shutdown()


asyncio.run(main(*sys.argv[1:6]))
