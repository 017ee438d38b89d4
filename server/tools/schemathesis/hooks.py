"""Tells Schemathesis what the document's own formats look like.

Without it, it would send If-Match: 0 in its coverage phase: there, it takes headers to be letters and digits, whatever their pattern.
"""

import schemathesis
from hypothesis import strategies as st

# Versions that users really have, and whatever else may stand in a tag (RFC 9110, 8.8.3).
opaque = st.integers(1, 9).map(str) | st.from_regex(r"[!#-~]*", fullmatch=True)
tag = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), opaque)
schemathesis.openapi.format("entity-tags", st.just("*") | st.lists(tag, min_size=1, max_size=4).map(", ".join))
