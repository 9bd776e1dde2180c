"""Bounds on requests, in one place."""
BODY_BYTES = 1_048_576
"""Of a JSON body; object and image bytes stream and are bounded by quota."""
BODY_SECONDS = 60.0
"""In which a JSON body has to have come: nobody may have shown a token yet."""
SMALL_BODY_BYTES, BODIES_BYTES = 65_536, 134_217_728
"""Bodies that have not come whole may fill that much memory together; of each the first part is not counted, so small ones always fit."""
QUERY_BYTES = 16_384
QUERY_FIELDS = 500
JSON_DEPTH = 64
"""Deeper nesting is refused before anything walks it."""
HANDLER_THREADS = 8
"""Threads per service. A limit for each service, not one for all: calls only go down, so no service waits for its own threads."""
