-- The list's order is the id's: a user's id says when the user was created, and created_at is taken from it. So the primary
-- key is the list's index, and a create has one index less to write.
--
-- Users from before keep their created_at, some microseconds after what their id says. A server of the version before sorts
-- all users of a shard for every page, until it is replaced.

DROP INDEX users_newest_first_idx;
