-- Who this shard is, so that a server whose settings say otherwise is told so instead of writing users where nobody will look for them.
-- The migration tool writes the one row when the schema is first made; nobody changes it afterwards.
CREATE TABLE shard_identity (
    one           boolean     PRIMARY KEY DEFAULT true CHECK (one),
    cluster_id    uuid        NOT NULL,
    shard_name    text        NOT NULL,
    shard_index   integer     NOT NULL CHECK (shard_index >= 0),
    shard_count   integer     NOT NULL CHECK (shard_count > shard_index),
    virtual_nodes integer     NOT NULL CHECK (virtual_nodes >= 0),
    ring_checksum text        NOT NULL,
    written_at    timestamptz NOT NULL DEFAULT now()
);
