"""From the journal of one appliance to other programs: webhooks now; MQTT and a hub go the same road.

Reading order: `signing.py` (what a receiver checks), `addresses.py` (where we may connect), `delivery.py` (one
request), `webhooks.py` (one receiver's loop over `store/outbox.py`), `publishers.py` (all of them, started and
stopped). It may import checkout's settings, the store and core, and never torch or flask; the app imports it.
"""
