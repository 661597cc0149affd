"""Pictures with boxes, whatever format they come in: readers, splits, pictures from disk.

Reading order: `records.py` (Sample, DetectionSet), `reading.py` (the face: format told from the folder), `coco.py`,
`voc.py`, `yolo.py`, `building.py` (what all readers check), `images.py` (a picture from disk), `splits.py` (who is
trained on, who is kept aside), `likeness.py` (which pictures show the same scene).
May import `core`, numpy, cv2 and pydantic; never a neighbour (streams, models, tracker, store), never torch or flask.
"""
