"""One file per schema step, oldest first by name. Each stands alone: it never imports `store.tables`."""
