-- An address belongs to the user who has its claim, over all shards. That the users of one shard have different ones follows
-- from that; an index that says so again costs every create an entry of its own, and nothing looks users up by it.

DROP INDEX users_email_key;
