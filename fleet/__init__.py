"""What leaves the appliance: events and states to an MQTT broker, fed from the store's journal.

Reading order: `settings.py`, `ledger.py` (bills as events tell them), `messages.py` (what is said, and where),
`discovery.py` (Home Assistant), `mqtt.py` (who says it, in order and at least once). Never imports torch, flask or app.
"""
