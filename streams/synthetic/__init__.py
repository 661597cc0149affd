"""The synthetic canteen lane: a seeded overhead counter with its own truth, for demo, tests and training.

Reading order: `catalogue.py` (what there is), `script.py` (what happens on one tray), `motion.py` (where everything
is at a time), `lane.py` (frames and truth), `source.py` (the lane as a camera), `export.py` (the lane as files).
How it looks: `paint.py` (brushes), `plates.py`, `bowls.py`, `drinks.py`, `snacks.py`, `things.py`, `hands.py`,
`counter.py`, `sprites.py` (baking and compositing), `cast.py` (who is in a frame), `camera.py` (light, noise).
Lengths are centimetres on the counter until `sprites.py` makes pixels of them.
May import core and its neighbours in streams, and nothing above.
"""
