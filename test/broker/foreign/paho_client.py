"""One MQTT client on paho-mqtt. Reads a JSON order from stdin, does it step by step, writes what it saw as JSON to stdout."""

import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt

WAIT_SECONDS = 30
order = json.load(sys.stdin)
seen = {"connack": None, "suback": [], "puback": [], "messages": [], "disconnect": None}
events = {name: threading.Semaphore(0) for name in ("connack", "suback", "puback", "message", "disconnect")}


def note(name, value):
    if isinstance(seen.get(name), list):
        seen[name].append(value)
    elif name == "message":
        seen["messages"].append(value)
    elif seen[name] is None:  # the first word counts: our own disconnect at the end is no news
        seen[name] = value
    events[name].release()


def wait(name):
    if not events[name].acquire(timeout=WAIT_SECONDS):
        raise TimeoutError(f"no {name} within {WAIT_SECONDS} s")


v5 = order["protocol"] == 5
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id="paho",
    protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
    reconnect_on_failure=False,
    **({} if v5 else {"clean_session": True}),
)
client.on_connect = lambda c, u, flags, reason, properties: note("connack", reason.value)
client.on_subscribe = lambda c, u, mid, reasons, properties: note("suback", [reason.value for reason in reasons])
client.on_publish = lambda c, u, mid, reason, properties: note("puback", reason.value)
client.on_message = lambda c, u, message: note("message", [message.topic, message.payload.decode(), message.qos, message.retain])
client.on_disconnect = lambda c, u, flags, reason, properties: note("disconnect", reason.value)
client.tls_set(
    ca_certs=order["ca"], certfile=order["cert"], keyfile=order["key"], tls_version=ssl.PROTOCOL_TLS_CLIENT
)
try:
    client.connect(order["host"], order["port"], keepalive=30)
    client.loop_start()
    wait("connack")
    for step in order["steps"]:
        if "subscribe" in step:
            client.subscribe(step["subscribe"], qos=step.get("qos", 1))
            wait("suback")
        elif "publish" in step:
            client.publish(step["publish"], step.get("payload", "x"), qos=step.get("qos", 1), retain=step.get("retain", False))
            wait("puback")
        elif "messages" in step:
            for _ in range(step["messages"]):
                wait("message")
        elif "say" in step:
            print(step["say"], file=sys.stderr, flush=True)
        elif "disconnected" in step:
            wait("disconnect")
    client.disconnect()
    client.loop_stop()
except Exception as error:  # what went wrong is part of the answer
    seen["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(seen))
