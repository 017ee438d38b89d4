-- Destroys every user of this shard.

DROP TABLE users;
