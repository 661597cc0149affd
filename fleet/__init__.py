"""From the journal of one appliance to other programs: webhooks, and an MQTT broker; a hub goes the same road.

Reading order: `signing.py` (what a receiver checks), `addresses.py` (where we may connect), `delivery.py` (one
request), `webhooks.py` (one receiver's loop over `store/outbox.py`), `publishers.py` (all of them, started and
stopped); `ledger.py` (bills as events tell them), `messages.py` (what a broker is told), `discovery.py` (Home
Assistant), `mqtt.py` (who says it, in order and at least once). It may import checkout, the store and core, and never
torch, flask or app; the app imports it.
"""
